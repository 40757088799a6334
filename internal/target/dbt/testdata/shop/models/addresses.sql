{{ config(materialized='ephemeral') }}
select distinct subject from {{ ref('inbox_emails') }}
