-- REPEATED
SELECT
  review_id,
  COUNT(*) AS n
FROM read
GROUP BY
  review_id
HAVING
  COUNT(*) > 1;

-- REPEATS
SELECT
  COALESCE(SUM(n) - COUNT(*), 0)
FROM repeated;

-- FIRST
SELECT
  customer_id,
  review_id,
  product_id,
  product_parent,
  product_title,
  product_category,
  star_rating,
  helpful_votes,
  verified_purchase,
  review_headline,
  review_date,
  review_tokens
FROM read
ANTI JOIN repeated
  USING (review_id)
UNION ALL
SELECT
  customer_id,
  review_id,
  product_id,
  product_parent,
  product_title,
  product_category,
  star_rating,
  helpful_votes,
  verified_purchase,
  review_headline,
  review_date,
  review_tokens
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY review_id ORDER BY filename NULLS LAST, file_row_number NULLS LAST) AS nth
  FROM read
  SEMI JOIN repeated
    USING (review_id)
) AS f
WHERE
  nth = 1;

-- ALL
SELECT
  customer_id,
  review_id,
  product_id,
  product_parent,
  product_title,
  product_category,
  star_rating,
  helpful_votes,
  verified_purchase,
  review_headline,
  review_date,
  review_tokens
FROM read;

-- nodes/customers
SELECT
  customer_id,
  COUNT(*) AS reviews
FROM r
WHERE
  NOT customer_id IS NULL
GROUP BY
  1
ORDER BY
  1 NULLS LAST;

-- nodes/reviews
SELECT
  review_id,
  review_date AS date,
  star_rating AS stars,
  review_headline AS title,
  review_tokens AS tokens,
  verified_purchase AS verified,
  helpful_votes
FROM r
ORDER BY
  review_id NULLS LAST;

-- nodes/products
SELECT
  p.product_id,
  t.value AS title,
  f.value AS parent,
  p.reviews,
  p.stars,
  p.first_date,
  p.last_date
FROM (
  SELECT
    product_id,
    COUNT(*) AS reviews,
    AVG(star_rating) AS stars,
    MIN(review_date) AS first_date,
    MAX(review_date) AS last_date
  FROM r
  WHERE
    NOT product_id IS NULL
  GROUP BY
    1
) AS p
LEFT JOIN (
  SELECT
    product_id,
    value
  FROM (
    SELECT
      product_id,
      value,
      ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY n DESC, value NULLS LAST) AS nth
    FROM (
      SELECT
        product_id,
        product_title AS value,
        COUNT(*) AS n
      FROM r
      WHERE
        NOT product_id IS NULL AND NOT product_title IS NULL
      GROUP BY
        1,
        2
    ) AS v
  ) AS w
  WHERE
    nth = 1
) AS t
  USING (product_id)
LEFT JOIN (
  SELECT
    product_id,
    value
  FROM (
    SELECT
      product_id,
      value,
      ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY n DESC, value NULLS LAST) AS nth
    FROM (
      SELECT
        product_id,
        product_parent AS value,
        COUNT(*) AS n
      FROM r
      WHERE
        NOT product_id IS NULL AND NOT product_parent IS NULL
      GROUP BY
        1,
        2
    ) AS v
  ) AS w
  WHERE
    nth = 1
) AS f
  USING (product_id)
ORDER BY
  1 NULLS LAST;

-- edges/wrote
SELECT
  customer_id,
  review_id
FROM r
WHERE
  NOT customer_id IS NULL
ORDER BY
  1 NULLS LAST,
  2 NULLS LAST;

-- edges/reviewed
SELECT
  review_id,
  product_id
FROM r
WHERE
  NOT product_id IS NULL
ORDER BY
  1 NULLS LAST,
  2 NULLS LAST;

-- edges/bought
SELECT
  customer_id,
  product_id,
  COUNT(*) AS reviews,
  MIN(review_date) AS first_date
FROM r
WHERE
  NOT customer_id IS NULL AND NOT product_id IS NULL AND verified_purchase
GROUP BY
  1,
  2
ORDER BY
  1 NULLS LAST,
  2 NULLS LAST;

-- edges/assigned
SELECT
  *,
  ROW_NUMBER() OVER (
    PARTITION BY product_id
    ORDER BY last_date DESC, reviews DESC, category NULLS LAST
  ) = 1 AS current
FROM (
  SELECT
    product_id,
    product_category AS category,
    COUNT(*) AS reviews,
    MIN(review_date) AS first_date,
    MAX(review_date) AS last_date
  FROM r
  WHERE
    NOT product_id IS NULL AND NOT product_category IS NULL
  GROUP BY
    1,
    2
)
ORDER BY
  product_id NULLS LAST,
  category NULLS LAST;

-- nodes/categories
SELECT
  category,
  c.reviews,
  COALESCE(p.products, 0) AS products
FROM (
  SELECT
    product_category AS category,
    COUNT(*) AS reviews
  FROM r
  WHERE
    NOT product_category IS NULL
  GROUP BY
    1
) AS c
LEFT JOIN (
  SELECT
    category,
    COUNT(*) AS products
  FROM assigned
  GROUP BY
    1
) AS p
  USING (category)
ORDER BY
  1 NULLS LAST;

-- SEVERAL
SELECT
  COUNT(DISTINCT product_id)
FROM assigned
WHERE
  NOT current;
