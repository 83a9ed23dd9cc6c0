-- NO_FALLS
SELECT
  ordinal,
  CAST(NULL AS STRING) AS rule
FROM keys
WHERE
  ordinal < 0;

-- SHORT
SELECT
  ordinal,
  :rule AS rule
FROM (
  SELECT
    *
  FROM keys
  ANTI JOIN falls
    USING (ordinal)
)
WHERE
  length < :bound;

-- LONG
SELECT
  ordinal,
  :rule AS rule
FROM (
  SELECT
    *
  FROM keys
  ANTI JOIN falls
    USING (ordinal)
)
WHERE
  length > :bound;

-- REPEATED_IDS
WITH standing AS (
  SELECT
    *
  FROM keys
  ANTI JOIN falls
    USING (ordinal)
), repeated AS (
  SELECT
    id_low,
    id_high,
    MIN(ordinal) AS first_ordinal
  FROM standing
  WHERE
    NOT id_low IS NULL
  GROUP BY
    id_low,
    id_high
  HAVING
    COUNT(*) > 1
)
SELECT
  ordinal,
  :rule AS rule
FROM standing
JOIN repeated
  USING (id_low, id_high)
WHERE
  ordinal > first_ordinal;

-- REPEATED_CONTENT
WITH standing AS (
  SELECT
    *
  FROM keys
  ANTI JOIN falls
    USING (ordinal)
), repeated AS (
  SELECT
    content_low,
    content_high,
    MIN(ordinal) AS first_ordinal
  FROM standing
  WHERE
    NOT content_low IS NULL
  GROUP BY
    content_low,
    content_high
  HAVING
    COUNT(*) > 1
)
SELECT
  ordinal,
  :rule AS rule
FROM standing
JOIN repeated
  USING (content_low, content_high)
WHERE
  ordinal > first_ordinal;

-- RARE
WITH standing AS (
  SELECT
    *
  FROM keys
  ANTI JOIN falls
    USING (ordinal)
), counts AS (
  SELECT
    category,
    COUNT(*) AS n
  FROM standing
  GROUP BY
    category
)
SELECT
  ordinal,
  :rule AS rule
FROM standing
WHERE
  category IN (
    SELECT
      category
    FROM counts
    WHERE
      n < :share * (
        SELECT
          SUM(n)
        FROM counts
      )
  );

-- OCCURRENCES
WITH standing AS (
  SELECT
    ordinal,
    content_low,
    content_high
  FROM (
    SELECT
      *
    FROM keys
    ANTI JOIN falls
      USING (ordinal)
  )
  WHERE
    id_low IS NULL
), repeated AS (
  SELECT
    content_low,
    content_high
  FROM standing
  GROUP BY
    content_low,
    content_high
  HAVING
    COUNT(*) > 1
)
SELECT
  ordinal,
  occurrence
FROM (
  SELECT
    ordinal,
    CAST(ROW_NUMBER() OVER (PARTITION BY content_low, content_high ORDER BY ordinal NULLS LAST) AS BIGINT) AS occurrence
  FROM standing
  SEMI JOIN repeated
    USING (content_low, content_high)
)
WHERE
  occurrence > 1;

-- FALLS_BY_ORDINAL
SELECT
  ordinal,
  rule,
  CAST(NULL AS BIGINT) AS occurrence
FROM falls
UNION ALL
SELECT
  ordinal,
  CAST(NULL AS STRING) AS rule,
  occurrence
FROM occurrences;

-- FALLS_BY_TASK
SELECT
  p.task,
  c.ordinal,
  c.rule,
  c.occurrence
FROM changed AS c
JOIN keys AS k
  ON k.ordinal = c.ordinal
JOIN parts AS p
  ON p.month = k.month AND k.ordinal >= p.first AND k.ordinal < p.past
UNION ALL
SELECT
  task,
  CAST(NULL AS BIGINT),
  CAST(NULL AS STRING),
  CAST(NULL AS BIGINT)
FROM tasks;
