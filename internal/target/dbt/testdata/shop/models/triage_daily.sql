{{ config(materialized='view', tags=['daily']) }}
select cast(received_at as date) as day, count(*) as emails from {{ ref('triage_results') }} group by 1
