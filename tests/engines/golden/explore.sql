-- REPEATED
SELECT
  text,
  COUNT(*) AS reviews,
  MIN(tokens) AS tokens,
  MIN(place) AS place
FROM keys
GROUP BY
  text
HAVING
  COUNT(*) > 1;

-- REPEATED_BY_CATEGORY
SELECT
  keys.category,
  COUNT(*),
  COUNT(CASE WHEN keys.tokens >= 10 THEN 1 END)
FROM keys
JOIN repeated
  ON repeated.text = keys.text
GROUP BY
  keys.category;

-- REPEATED_TEXTS
WITH top AS (
  SELECT
    *
  FROM repeated
  WHERE
    tokens >= 10
  ORDER BY
    reviews DESC,
    place NULLS LAST
  LIMIT 50
)
SELECT
  top.place,
  MAX(top.reviews) AS times,
  MAX(top.tokens) AS tokens,
  COUNT(DISTINCT CASE WHEN keys.product <> 0 THEN keys.product END) AS products,
  COUNT(DISTINCT CASE WHEN keys.customer <> 0 THEN keys.customer END) AS customers,
  COUNT(DISTINCT keys.category) AS categories,
  MIN(CASE WHEN keys.month >= 0 THEN keys.month END) AS first_month,
  MAX(keys.month) AS last_month
FROM keys
JOIN top
  ON top.text = keys.text
GROUP BY
  top.place
ORDER BY
  times DESC,
  top.place NULLS LAST;

-- PRODUCTS
SELECT
  product,
  category,
  COUNT(*) AS reviews,
  MIN(place) AS place,
  MIN(CASE WHEN month >= 0 THEN month END) AS first_month,
  MAX(month) AS last_month,
  SUM(stars) / NULLIF(COUNT(CASE WHEN stars > 0 THEN 1 END), 0) AS mean_stars
FROM keys
WHERE
  product <> 0
GROUP BY
  product,
  category;

-- TOP_PRODUCTS
WITH sizes AS (
  SELECT
    category,
    reviews,
    COUNT(*) AS n
  FROM products
  GROUP BY
    category,
    reviews
), least AS (
  SELECT
    category,
    MIN(reviews) AS of_category
  FROM (
    SELECT
      category,
      reviews,
      SUM(n) OVER (PARTITION BY category ORDER BY reviews DESC) - n AS more
    FROM sizes
  ) AS s
  WHERE
    more < 10
  GROUP BY
    category
), most AS (
  SELECT
    MIN(reviews) AS of_all
  FROM (
    SELECT
      reviews,
      SUM(n) OVER (ORDER BY reviews DESC) - n AS more
    FROM (
      SELECT
        reviews,
        SUM(n) AS n
      FROM sizes
      GROUP BY
        reviews
    ) AS s
  ) AS t
  WHERE
    more < 200
), likely AS (
  SELECT
    products.*
  FROM products
  JOIN least
    ON least.category = products.category
  CROSS JOIN most
  WHERE
    products.reviews >= least.of_category OR products.reviews >= most.of_all
)
SELECT
  category,
  place,
  reviews,
  mean_stars,
  first_month,
  last_month
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (ORDER BY reviews DESC, place NULLS LAST) AS of_all,
    ROW_NUMBER() OVER (PARTITION BY category ORDER BY reviews DESC, place NULLS LAST) AS of_category
  FROM likely
) AS ranked
WHERE
  of_all <= 200 OR of_category <= 10
ORDER BY
  reviews DESC,
  place NULLS LAST;

-- SUBJECTS
SELECT
  product,
  category,
  month
FROM keys
WHERE
  product <> 0;
