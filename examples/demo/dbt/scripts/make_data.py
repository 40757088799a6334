#!/usr/bin/env python3
"""Write the demo's raw exports, emails.csv and evaluations.csv, into a folder.

The same arguments always give the same bytes: there is a fixed seed and no clock. --broken-rows replaces the confidence of
that many evaluations by "n/a", as a faulty export would, so that the model triage_results fails; running the script again
without it repairs the file.
"""

import argparse
import csv
import datetime
import pathlib
import random

SEED = 20251017
FIRST_DAY = datetime.datetime(2025, 10, 1)
MINUTES_PER_DAY = 24 * 60
INBOX_SHARE = 0.8  # the rest is in other folders, which the models leave out
EVALUATED_SHARE = 0.7
RIGHT_SHARE = 0.94
CANARY_SHARE = 0.1

FOLDERS = ["newsletters", "receipts", "spam"]
CATEGORIES = ["reply", "later", "archive", "spam"]
DOMAINS = ["example.com", "example.org", "example.net", "mail.example", "jobs.example"]
NAMES = ["ada", "ben", "chi", "dora", "eli", "fay", "gus", "hana"]
SUBJECTS = ["Interview on Thursday", "Your application", "Offer, second draft", "A question on the invoice", "Weekly digest"]


def pick(rng, values):
    """Return one of values; built on random() alone, whose sequence is the same in every Python version."""
    return values[int(rng.random() * len(values))]


def emails(rng, days, per_day):
    """Yield the rows of emails.csv, oldest first."""
    for day in range(days):
        minutes = sorted(int(rng.random() * MINUTES_PER_DAY) for _ in range(per_day))
        for number, minute in enumerate(minutes):
            received = FIRST_DAY + datetime.timedelta(days=day, minutes=minute)
            yield {
                "email_id": f"em-{day:03d}-{number:04d}",
                "received_at": received.isoformat(sep=" "),
                "folder": "inbox" if rng.random() < INBOX_SHARE else pick(rng, FOLDERS),
                "sender": f"{pick(rng, NAMES)}@{pick(rng, DOMAINS)}",
                "subject": pick(rng, SUBJECTS),
                "body_bytes": 200 + int(rng.random() * 20000),
            }


def evaluations(rng, mails):
    """Yield the rows of evaluations.csv, for a share of the emails."""
    for mail in mails:
        if rng.random() >= EVALUATED_SHARE:
            continue
        expected = pick(rng, CATEGORIES)
        received = datetime.datetime.fromisoformat(mail["received_at"])
        yield {
            "evaluation_id": mail["email_id"].replace("em-", "ev-"),
            "email_id": mail["email_id"],
            "evaluated_at": (received + datetime.timedelta(minutes=5)).isoformat(sep=" "),
            "planner_version": "v1.2.3-canary" if rng.random() < CANARY_SHARE else "v1.2.2",
            "predicted_category": expected if rng.random() < RIGHT_SHARE else pick(rng, CATEGORIES),
            "expected_category": expected,
            "confidence": f"{0.5 + rng.random() / 2:.3f}",
            "latency_ms": 120 + int(rng.random() * 900),
        }


def write(path, rows):
    """Write rows as CSV to path, by way of a temporary file, so that no reader sees half of it."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
    print(f"{path}: {len(rows)} rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the files go; made if it is not there")
    parser.add_argument("--days", type=int, default=14, help="days of mail (default 14)")
    parser.add_argument("--per-day", type=int, default=300, help="emails a day (default 300)")
    parser.add_argument("--broken-rows", type=int, default=0, help="evaluations of inbox emails without a usable confidence (default 0)")
    args = parser.parse_args()
    if args.days < 1 or args.per_day < 1 or args.broken_rows < 0:
        parser.error("--days and --per-day must be at least 1, --broken-rows at least 0")

    rng = random.Random(SEED)
    mails = list(emails(rng, args.days, args.per_day))
    results = list(evaluations(rng, mails))
    inbox = {mail["email_id"] for mail in mails if mail["folder"] == "inbox"}
    usable = [row for row in results if row["email_id"] in inbox]
    for row in usable[len(usable) - min(args.broken_rows, len(usable)) :]:
        row["confidence"] = "n/a"

    args.folder.mkdir(parents=True, exist_ok=True)
    write(args.folder / "emails.csv", mails)
    write(args.folder / "evaluations.csv", results)


if __name__ == "__main__":
    main()
