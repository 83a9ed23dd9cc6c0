-- NO_FALLS
SELECT
  CAST(NULL AS BIGINT) AS ordinal,
  CAST(NULL AS STRING) AS rule
WHERE
  FALSE;

-- NO_OCCURRENCES
SELECT
  CAST(NULL AS BIGINT) AS ordinal,
  CAST(NULL AS BIGINT) AS occurrence
WHERE
  FALSE;

-- OUT_OF_BOUNDS
SELECT
  ordinal,
  CASE WHEN length < :least THEN :short ELSE :long END AS rule
FROM keys
WHERE
  length < :least OR length > :most;

-- SHARED
SELECT
  id_low,
  id_high
FROM keys
WHERE
  NOT id_low IS NULL
GROUP BY
  id_low,
  id_high
HAVING
  COUNT(*) > 1;

-- ALIKE
SELECT
  ordinal,
  id_low,
  id_high,
  content_low,
  content_high
FROM keys
SEMI JOIN shared
  USING (id_low, id_high)
WHERE
  TRUE;

-- REPEATS
WITH standing AS (
  SELECT
    *
  FROM alike_content
  ANTI JOIN falls
    USING (ordinal)
  WHERE
    TRUE
), repeated AS (
  SELECT
    content_low,
    content_high,
    MIN(ordinal) AS first_ordinal
  FROM standing
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
SELECT
  ordinal,
  occurrence
FROM (
  SELECT
    ordinal,
    CAST(ROW_NUMBER() OVER (PARTITION BY content_low, content_high ORDER BY ordinal NULLS LAST) AS BIGINT) AS occurrence
  FROM alike_content
  ANTI JOIN falls
    USING (ordinal)
  WHERE
    id_low IS NULL
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

-- FALLS_AND_TASKS
SELECT
  p.task,
  c.ordinal,
  c.rule,
  c.occurrence
FROM changed AS c
JOIN placed AS k
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
