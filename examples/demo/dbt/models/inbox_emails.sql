{{ config(materialized='incremental', unique_key='email_id') }}

select
    email_id,
    cast(received_at as timestamp) as received_at,
    lower(sender) as sender,
    split_part(lower(sender), '@', 2) as sender_domain,
    subject,
    cast(body_bytes as integer) as body_bytes
from {{ source('raw', 'emails') }}
where folder = 'inbox'
{% if is_incremental() %}
  -- an export may hold late rows of the last loaded day, so that day is read again
  and cast(received_at as timestamp) >= (select date_trunc('day', max(received_at)) from {{ this }})
{% endif %}
