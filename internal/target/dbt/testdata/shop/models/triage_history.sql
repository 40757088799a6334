{{ config(materialized='incremental', full_refresh=true) }}
select * from {{ ref('triage_results') }}
