#!/usr/bin/env python3
"""Writes the dashboards from the short descriptions below: deploy/grafana/generate.py [FOLDER].

Each panel says what it answers (its description), in which unit, and by which queries. tests/checks/deploy.sh holds the
committed JSON to this file and every query to the metrics that a worker has.
"""

import json
import sys
from pathlib import Path

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = Path(__file__).resolve().parent


def target(index, expr, legend):
    return {"refId": chr(ord("A") + index), "expr": expr, "legendFormat": legend, "datasource": DATASOURCE}


def panel(kind, title, description, unit, *queries, width=8, height=8, **defaults):
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [target(i, expr, legend) for i, (expr, legend) in enumerate(queries)],
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if kind == "stat" else {},
        "gridPos": {"w": width, "h": height},
    }


def graph(title, description, unit, *queries, **more):
    return panel("timeseries", title, description, unit, *queries, **{"min": 0, **more})


def stat(title, description, unit, *queries, **more):
    return panel("stat", title, description, unit, *queries, width=4, height=4, **more)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def variable(name, label, metric):
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}, {name})", "refId": name},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def dashboard(uid, title, description, variables, panels):
    x = y = line = 0
    for number, one in enumerate(panels, 1):
        one["id"] = number
        place = one["gridPos"]
        if x + place["w"] > 24 or one["type"] == "row":
            x, y, line = 0, y + line, 0
        place.update(x=x, y=y)
        x += place["w"]
        line = max(line, place["h"])
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["sandsift"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [datasource, *variables]},
        "links": [{"type": "dashboards", "tags": ["sandsift"], "title": "Sandsift", "asDropdown": True}],
        "panels": panels,
    }


JOB = variable("job", "Job", "sandsift_build_info")
INSTANCE = variable("instance", "Worker", "sandsift_build_info")
ALL = 'job=~"$job"'
ONE = 'job=~"$job", instance=~"$instance"'


def age(quantile, labels):
    rate = f"sum by (le) (rate(sandsift_completion_age_seconds_bucket{{{labels}}}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {rate})"


def stage(quantile, labels):
    rate = f"sum by (le, stage) (rate(sandsift_completion_seconds_bucket{{{labels}}}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {rate})"


FLEET = dashboard(
    "sandsift-fleet",
    "Sandsift / Fleet",
    "The promise first: how late results are, what becomes of completions, what waits.",
    [JOB],
    [
        row("The promise"),
        stat("Age, 95 of 100", "Time from the end of a run to its confirmed analysis. The figure to page on.", "s",
             (age(0.95, ALL), "p95")),
        stat("Completions a second", "Completions that came to an end, whatever it was.", "ops",
             (f"sum(rate(sandsift_completions_total{{{ALL}}}[$__rate_interval]))", "")),
        stat("Dead letters", "Completions that became dead letters in the last hour.", "short",
             (f'sum(increase(sandsift_completions_total{{{ALL}, outcome="dead_lettered"}}[1h]))', "")),
        stat("Workers connected", "Workers that have a session with the broker and consume.", "short",
             (f'sum(sandsift_broker_state{{{ALL}, state="running"}})', "")),
        stat("Busy slots", "How much of the fleet works.", "percentunit",
             (f"sum(sandsift_completions_in_progress{{{ALL}}}) / sum(sandsift_slots{{{ALL}}})", "")),
        stat("Rule sets in use", "More than one for long: workers match with different rules.", "short",
             (f"count(count by (digest) (sandsift_ruleset_info{{{ALL}}} == 1))", "")),
        graph("Age of results", "Half, 95 and 99 of 100 completions are analysed within this time from their run's end.", "s",
              (age(0.5, ALL), "p50"), (age(0.95, ALL), "p95"), (age(0.99, ALL), "p99")),
        graph("Outcomes", "What becomes of completions.", "ops",
              (f"sum by (outcome) (rate(sandsift_completions_total{{{ALL}}}[$__rate_interval]))", "{{outcome}}")),
        graph("Failed attempts", "By code; docs/contract.md says what each means.", "ops",
              (f"sum by (code) (rate(sandsift_completion_errors_total{{{ALL}}}[$__rate_interval])) > 0", "{{code}}")),
        row("Throughput and duration"),
        graph("Completions by platform", "Taken from the queues.", "ops",
              (f"sum by (platform) (rate(sandsift_completions_received_total{{{ALL}}}[$__rate_interval]))", "{{platform}}")),
        graph("Events by platform", "Events that were matched.", "ops",
              (f"sum by (platform) (rate(sandsift_events_total{{{ALL}}}[$__rate_interval]))", "{{platform}}")),
        graph("Duration by stage, 95 of 100", "Where a completion's time goes.", "s", (stage(0.95, ALL), "{{stage}}")),
        graph("Busy slots", "Completions worked on, and how many could be.", "short",
              (f"sum(sandsift_completions_in_progress{{{ALL}}})", "in progress"), (f"sum(sandsift_slots{{{ALL}}})", "slots")),
        graph("Artifacts fetched", "Bytes a second, as stored.", "Bps",
              (f"sum(rate(sandsift_artifact_bytes_total{{{ALL}}}[$__rate_interval]))", "fetched")),
        graph("Left out", "Records that analyses say were left out, by reason.", "ops",
              (f"sum by (code) (rate(sandsift_incomplete_total{{{ALL}}}[$__rate_interval]))", "{{code}}")),
        row("Link to the broker"),
        graph("Confirms", "Results confirmed (ack), and batches that were not, by why.", "ops",
              (f"sum by (result) (rate(sandsift_publish_confirms_total{{{ALL}}}[$__rate_interval]))", "{{result}}")),
        graph("Time to confirm, 95 of 100", "Until a batch of results was confirmed or not.", "s",
              (f"histogram_quantile(0.95, sum by (le) (rate(sandsift_publish_seconds_bucket{{{ALL}}}[$__rate_interval])))", "p95")),
        graph("Reconnects and redeliveries", "Sessions that ended, and deliveries marked as redelivered.", "ops",
              (f"sum by (reason) (rate(sandsift_reconnects_total{{{ALL}}}[$__rate_interval]))", "reconnect: {{reason}}"),
              (f"sum(rate(sandsift_redeliveries_total{{{ALL}}}[$__rate_interval]))", "redelivered")),
    ],
)

WORKER = dashboard(
    "sandsift-worker",
    "Sandsift / Worker",
    "One worker: what it does, how it is linked, what it needs.",
    [JOB, INSTANCE],
    [
        stat("Version", "The version that runs.", "short", (f"sandsift_build_info{{{ONE}}}", "{{version}}")),
        stat("State", "1 for the state of the link to the broker.", "short",
             (f"sandsift_broker_state{{{ONE}}} == 1", "{{state}}")),
        stat("Rules", "Rules in the set in use.", "short", (f"sandsift_rules_loaded{{{ONE}}}", "{{instance}}")),
        stat("Age of the rule set", "Since it was loaded.", "s",
             (f"time() - sandsift_ruleset_last_load_timestamp_seconds{{{ONE}}}", "{{instance}}")),
        stat("Last completion", "Since a completion was last acknowledged.", "s",
             (f"time() - (sandsift_last_completion_timestamp_seconds{{{ONE}}} > 0)", "{{instance}}")),
        stat("Loads refused", "Rule sets that were refused; the one in use stayed.", "short",
             (f'sandsift_ruleset_loads_total{{{ONE}, result="refused"}}', "{{instance}}")),
        graph("Slots", "Busy and all.", "short", (f"sandsift_completions_in_progress{{{ONE}}}", "{{instance}} busy"),
              (f"sandsift_slots{{{ONE}}}", "{{instance}} all")),
        graph("Duration by stage", "The mean.", "s",
              (f"sum by (stage) (rate(sandsift_completion_seconds_sum{{{ONE}}}[$__rate_interval])) / "
               f"sum by (stage) (rate(sandsift_completion_seconds_count{{{ONE}}}[$__rate_interval]))", "{{stage}}")),
        graph("Outcomes", "What becomes of its completions.", "ops",
              (f"sum by (outcome) (rate(sandsift_completions_total{{{ONE}}}[$__rate_interval]))", "{{outcome}}")),
        graph("Attempts", "At which attempt completions came to their analysis, 95 of 100.", "short",
              (f"histogram_quantile(0.95, sum by (le) (rate(sandsift_completion_attempts_bucket{{{ONE}}}[$__rate_interval])))", "p95")),
        graph("Lost acknowledgements", "Acknowledgements that did not reach the broker: it delivers again.", "ops",
              (f"sum by (reason) (rate(sandsift_ack_failures_total{{{ONE}}}[$__rate_interval]))", "{{reason}}")),
        graph("Memory", "Held by the process.", "bytes", (f"process_resident_memory_bytes{{{ONE}}}", "{{instance}}")),
        graph("Open files", "Held by the process.", "short", (f"process_open_fds{{{ONE}}}", "{{instance}}")),
    ],
)

MATCHES = dashboard(
    "sandsift-matches",
    "Sandsift / Rules and matches",
    "What the rules find: by level, platform and origin.",
    [JOB],
    [
        stat("Critical and high, last hour", "Rules of these levels that fired, caused by the sample or an unknown origin.", "short",
             (f'sum(increase(sandsift_matches_total{{{ALL}, level=~"critical|high", origin=~"sample|unknown"}}[1h]))', "")),
        stat("Matches a completion", "Rules that fired for each analysed completion, last hour.", "short",
             (f"sum(increase(sandsift_matches_total{{{ALL}}}[1h])) / "
              f'sum(increase(sandsift_completions_total{{{ALL}, outcome="analysed"}}[1h]))', "")),
        stat("Rules", "Rules in the set in use.", "short", (f"max(sandsift_rules_loaded{{{ALL}}})", "")),
        graph("Matches by level", "Rules that fired.", "ops",
              (f"sum by (level) (rate(sandsift_matches_total{{{ALL}}}[$__rate_interval]))", "{{level}}"), width=12),
        graph("Matches by platform", "Rules that fired.", "ops",
              (f"sum by (platform) (rate(sandsift_matches_total{{{ALL}}}[$__rate_interval]))", "{{platform}}"), width=12),
        graph("Matches by origin", "By the origin that weighs most: sample, unknown, background, sandbox.", "ops",
              (f"sum by (origin) (rate(sandsift_matches_total{{{ALL}}}[$__rate_interval]))", "{{origin}}"), width=12),
        graph("Rule set loads", "Loads of the rule set, by result.", "short",
              (f"sum by (result) (increase(sandsift_ruleset_loads_total{{{ALL}}}[$__rate_interval]))", "{{result}}"), width=12),
    ],
)

BROKER = dashboard(
    "sandsift-broker",
    "Sandsift / Broker",
    "The broker's own view of our queues; needs its /metrics/detailed scraped for queue_coarse_metrics and queue_consumer_count.",
    [],
    [
        graph("Waiting", "Messages that are ready, by queue.", "short",
              ('sum by (queue) (rabbitmq_detailed_queue_messages_ready{queue=~"sandsift[.].*"})', "{{queue}}"), width=12),
        graph("Under way", "Messages delivered and not yet acknowledged.", "short",
              ('sum by (queue) (rabbitmq_detailed_queue_messages_unacked{queue=~"sandsift[.].*"})', "{{queue}}"), width=12),
        graph("Consumers", "Consumers of each platform's queue.", "short",
              ('sum by (queue) (rabbitmq_detailed_queue_consumers{queue=~"sandsift[.]completions[.].*"})', "{{queue}}"), width=12),
        graph("Dead letters", "Messages in the queue of dead letters.", "short",
              ('sum(rabbitmq_detailed_queue_messages{queue="sandsift.dead"})', "dead letters"), width=12),
    ],
)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards"
    folder.mkdir(parents=True, exist_ok=True)
    for one in (FLEET, WORKER, MATCHES, BROKER):
        text = json.dumps(one, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{one['uid']}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
