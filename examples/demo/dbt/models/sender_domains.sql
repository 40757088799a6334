{{ config(materialized='view') }}

select
    sender_domain,
    count(*) as emails,
    max(received_at) as last_received_at
from {{ ref('inbox_emails') }}
group by sender_domain
