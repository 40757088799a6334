{{ config(materialized='table') }}
select id, subject, received_at from {{ source('raw', 'raw_emails') }}
