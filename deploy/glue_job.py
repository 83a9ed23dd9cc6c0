"""Shelfcheck as an AWS Glue job (Glue 5.0 or 5.1: Spark 3.5, Python 3.11): the job's script.

The job's parameter `--shelfcheck` holds the words of the command; see docs/how-to/run-on-spark.md:

    --shelfcheck  prepare s3://bucket/raw/ --workspace s3://bucket/shop --engine spark \
                  --set spark.exchange=s3://bucket/exchange
"""

import shlex
import sys

from awsglue.utils import getResolvedOptions

from shelfcheck.cli.main import main

if __name__ == "__main__":
    words = getResolvedOptions(sys.argv, ["shelfcheck"])["shelfcheck"]
    sys.argv = ["shelfcheck", *shlex.split(words)]
    main()
