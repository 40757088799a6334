select
    cast(evaluated_at as date) as evaluated_on,
    planner_version,
    count(*) as evaluations,
    round(100.0 * avg(cast(is_correct as integer)), 1) as quality_score,
    round(avg(confidence), 3) as mean_confidence,
    cast(quantile_cont(latency_ms, 0.95) as integer) as latency_p95_ms
from {{ ref('triage_results') }}
group by all
