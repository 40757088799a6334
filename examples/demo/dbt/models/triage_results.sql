select
    evaluations.evaluation_id,
    emails.email_id,
    emails.received_at,
    emails.sender_domain,
    cast(evaluations.evaluated_at as timestamp) as evaluated_at,
    evaluations.planner_version,
    evaluations.predicted_category,
    evaluations.expected_category,
    evaluations.predicted_category = evaluations.expected_category as is_correct,
    -- a confidence that is no number is a broken export: fail here rather than average over it
    cast(evaluations.confidence as double) as confidence,
    cast(evaluations.latency_ms as integer) as latency_ms
from {{ source('raw', 'evaluations') }} as evaluations
inner join {{ ref('inbox_emails') }} as emails using (email_id)
