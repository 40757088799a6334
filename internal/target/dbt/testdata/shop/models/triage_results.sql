{{ config(materialized='incremental', unique_key='id') }}
select id, received_at, contains(lower(subject), '{{ var("urgent_word") }}') as urgent
from {{ ref('inbox_emails') }}
{% if is_incremental() %}
where received_at > (select max(received_at) - interval '{{ var("triage_days") }} days' from {{ this }})
{% endif %}
