-- GROUPED
SELECT
  product_category,
  review_year,
  words > 0 AS has_words,
  COUNT(*) AS reviews,
  SUM(words) AS words,
  COUNT(DISTINCT product_id) + COUNT(CASE WHEN product_id IS NULL THEN 1 END) AS products
FROM facts
GROUP BY
  product_category,
  review_year,
  words > 0;

-- FREQUENT
SELECT
  product_category,
  review_year,
  term,
  n
FROM (
  SELECT
    c.*,
    SUM(n) OVER (PARTITION BY product_category, term) AS in_all
  FROM (
    SELECT
      *
    FROM terms
  ) AS c
) AS d
WHERE
  in_all >= 5;

-- DRAWN
SELECT
  f.product_category,
  f.review_year AS value,
  f.product_id,
  f.review_id,
  f.key,
  f.place,
  f.task
FROM (
  SELECT
    r.*,
    CAST(CONV(SUBSTRING(MD5(:seed || review_id), 1, 15), 16, 10) AS BIGINT) AS key
  FROM facts AS r
  WHERE
    words > 0
) AS f
JOIN bounds AS g
  ON g.product_category = f.product_category AND g.review_year = f.review_year
WHERE
  f.key < g.below;
