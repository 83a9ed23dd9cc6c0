"""Shelfcheck as a Spark application: what `spark-submit` runs, with the command's own words behind it.

    spark-submit --master yarn --archives environment.tar.gz#environment \
        deploy/spark_submit.py prepare /data/raw --workspace /data/shop --engine spark

See docs/how-to/run-on-spark.md.
"""

from shelfcheck.cli.main import main

if __name__ == "__main__":
    main()
