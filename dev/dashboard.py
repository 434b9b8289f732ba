"""The Grafana dashboard of the chart, in Grafana's own types; the JSON is what they make of it.

`python -m dev.dashboard` writes charts/bullherd/files/dashboard.json; tests hold both equal, and ask a real
Prometheus every query. "max by", because two operators may tell of one QueueJob while the leadership moves.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import count

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dev.paths import this_checkout

FILE = this_checkout().root / "charts" / "bullherd" / "files" / "dashboard.json"

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'namespace=~"$namespace", queuejob=~"$queuejob"'
PER_QUEUE = "max by (namespace, queuejob)"
QUEUE = "{{namespace}}/{{queuejob}}"
RECENTLY = "[$__rate_interval]"
HOUR = "[1h]"
"""For what happens seldom, such as a wake: the last minute's quantiles would mostly be of nothing."""

Panel = Builder[models.Panel]
Queries = Mapping[str, str]
"""PromQL by legend."""


def of_queues(metric: str, more: str = "") -> str:
    """A gauge of the chosen QueueJobs, one series each."""
    return f"{PER_QUEUE} ({metric}{{{CHOSEN}{more}}})"


def items(states: str) -> str:
    """How many items of the chosen QueueJobs are in these states, one series for each."""
    selector = f'{CHOSEN}, state=~"{states}"'
    return f"sum by (state) (max by (namespace, queuejob, state) (bullherd_queue_items{{{selector}}}))"


def increase(counter: str, by: str, selector: str = "") -> str:
    """How much a counter has grown since the point before."""
    return f"sum by ({by}) (increase({counter}{{{selector}}}{RECENTLY}))"


def quantiles(histogram: str, over: str, by: str = "") -> dict[str, str]:
    """Median, 95th and 99th percentile of a histogram."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"p{100 * share:.0f}{legend}": (
            f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{over})))"
        )
        for share in (0.5, 0.95, 0.99)
    }


def query(expression: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """One query of a panel; `ref` is its name in there."""
    return prometheus.Dataquery().datasource(SOURCE).expr(expression).legend_format(legend).ref_id(ref)


def number(title: str, what: str, expression: str, unit: str = "short", alarm: float | None = None) -> Panel:
    """One big number, red from `alarm` on."""
    steps = [models.Threshold(value=None, color="green")]
    if alarm is not None:
        steps.append(models.Threshold(value=alarm, color="red"))
    return (
        stat.Panel()
        .title(title)
        .description(what)
        .datasource(SOURCE)
        .span(4)
        .height(4)
        .unit(unit)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(query(expression, title))
    )


def lines(title: str, what: str, queries: Queries, unit: str = "short", stacked: bool = False) -> Panel:
    """Lines over time; stacked ones are parts of a whole."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(what)
        .datasource(SOURCE)
        .span(8)
        .height(8)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .tooltip(
            options.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .legend(
            options.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if stacked:
        panel.stacking(options.StackingConfig().mode(common.StackingMode.NORMAL))
    for ref, (legend, expression) in zip("ABCDEFGH", queries.items(), strict=False):
        panel.with_target(query(expression, legend, ref))
    return panel


def buckets(title: str, what: str, histogram: str) -> Panel:
    """A histogram over time, as a heat map."""
    return (
        heatmap.Panel()
        .title(title)
        .description(what)
        .datasource(SOURCE)
        .span(8)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .with_target(query(increase(f"{histogram}_bucket", "le"), "{{le}}").format(PromQueryFormat.HEATMAP))
    )


def now(title: str, what: str, columns: Queries) -> Panel:
    """A table of the QueueJobs as they are now, a column for each query."""
    panel = table.Panel().title(title).description(what).datasource(SOURCE).span(24).height(9)
    names: dict[str, str] = {"namespace": "Namespace", "queuejob": "QueueJob"}
    for ref, (column, expression) in zip("ABCDEFGH", columns.items(), strict=False):
        panel.with_target(query(expression, column, ref).instant().format(PromQueryFormat.TABLE))
        names[f"Value #{ref}"] = column
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    organize = {"excludeByName": {"Time": True}, "renameByName": names}
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
    return panel.override_by_name("Oldest item", [models.DynamicConfigValue(id_val="unit", value="s")])


OVERVIEW: Sequence[Panel] = (
    number("QueueJobs", "Those that are chosen above.", f"count({of_queues('bullherd_queue_backlog')})"),
    number(
        "Backlog", "Items to be worked on now, and at work.", f"sum({of_queues('bullherd_queue_backlog')})"
    ),
    number(
        "Oldest item",
        "How long it has waited.",
        f"max({of_queues('bullherd_queue_oldest_item_age_seconds')})",
        "s",
    ),
    number("Ready workers", "Pods that work.", f"sum({of_queues('bullherd_ready_replicas')})"),
    number(
        "Denied replicas",
        "Wanted, and not given by the budgets.",
        f"sum({of_queues('bullherd_replicas_denied')})",
        alarm=1,
    ),
    number("Leading operators", "Exactly one acts in each release.", "sum(bullherd_leader)"),
    now(
        "QueueJobs now",
        "`kubectl describe queuejob` says in words why each has the replicas it has.",
        {
            "Backlog": of_queues("bullherd_queue_backlog"),
            "Oldest item": of_queues("bullherd_queue_oldest_item_age_seconds"),
            "Desired": of_queues("bullherd_desired_replicas"),
            "Ready": of_queues("bullherd_ready_replicas"),
            "Denied": of_queues("bullherd_replicas_denied"),
            "Unschedulable": of_queues("bullherd_unschedulable_pods"),
            "Paused": of_queues("bullherd_queuejob_paused"),
        },
    ),
)

QUEUES: Sequence[Panel] = (
    lines(
        "Backlog by state",
        "Items that call for workers, and those at work.",
        {
            "{{state}}": items("waiting|prioritized|paused|delayed_due|active"),
        },
        stacked=True,
    ),
    lines(
        "Other items by state",
        "Items that call for no worker; finished ones as far as BullMQ keeps them.",
        {
            "{{state}}": items("delayed|waiting_children|completed|failed"),
        },
    ),
    lines(
        "Oldest item by QueueJob",
        "How long it has waited.",
        {QUEUE: of_queues("bullherd_queue_oldest_item_age_seconds")},
        "s",
    ),
    lines(
        "Workers, desired and ready",
        "What Bullherd asked for, and what has come of it.",
        {
            f"{QUEUE} desired": of_queues("bullherd_desired_replicas"),
            f"{QUEUE} ready": of_queues("bullherd_ready_replicas"),
        },
    ),
    lines(
        "Workers that are not there",
        "Denied by a budget, or without a node.",
        {
            f"{QUEUE} denied": of_queues("bullherd_replicas_denied"),
            f"{QUEUE} unschedulable": of_queues("bullherd_unschedulable_pods"),
        },
    ),
    lines(
        "Scalings",
        "Changes of replicas.",
        {
            "{{direction}}": increase("bullherd_scalings_total", "direction", CHOSEN),
        },
    ),
)

SPEED: Sequence[Panel] = (
    buckets(
        "Wakes",
        "From the moment that an item of a sleeping queue could be started to the replicas written.",
        "bullherd_wake_seconds",
    ),
    lines("Wake, last hour", "The same as percentiles.", quantiles("bullherd_wake_seconds", HOUR), "s"),
    lines(
        "Decision",
        "One decision about one QueueJob, without any request.",
        quantiles("bullherd_decision_seconds", RECENTLY),
        "s",
    ),
    lines(
        "Reconcile",
        "Looking at one QueueJob, deciding, and writing what has changed.",
        quantiles("bullherd_reconcile_seconds", RECENTLY),
        "s",
    ),
    lines(
        "Redis read",
        "One read of all queues of a Redis server.",
        quantiles("bullherd_redis_read_seconds", RECENTLY, by="server"),
        "s",
    ),
)

ERRORS: Sequence[Panel] = (
    lines(
        "Redis reachable", "1, or 0 while it is not.", {"{{server}}": "min by (server) (bullherd_redis_up)"}
    ),
    lines(
        "Failed reads of Redis",
        "Replicas stay as they are meanwhile.",
        {"{{server}}": increase("bullherd_redis_read_errors_total", "server")},
    ),
    lines(
        "Failed reconciles",
        "The operator's log says why; it tries again by itself.",
        {QUEUE: increase("bullherd_reconcile_errors_total", "namespace, queuejob", CHOSEN)},
    ),
    lines(
        "Items taken back",
        "From workers that died: killed, out of memory, or blocked for longer than their lock.",
        {"{{queue}}": increase("bullherd_stalled_items_total", "queue")},
    ),
)

SERVER: Sequence[Panel] = (
    lines(
        "Answers",
        "What the API server and others asked the server for, by HTTP status.",
        {"{{metric}} {{code}}": increase("bullherd_server_requests_total", "metric, code")},
    ),
    lines(
        "Time of an answer",
        "At the server, with authentication and authorization.",
        quantiles("bullherd_server_request_seconds", RECENTLY),
        "s",
    ),
    lines(
        "Age of the numbers",
        "The oldest of all that a server's pod would answer with.",
        {"{{pod}}": "max by (pod) (bullherd_server_oldest_reading_age_seconds)"},
        "s",
    ),
    lines(
        "Certificates",
        "How long they are still good for; renewed with a third of their time left.",
        {
            "{{certificate}}": (
                "min by (certificate) (bullherd_server_certificate_expiry_timestamp_seconds) - time()"
            )
        },
        "s",
    ),
)

ROWS: Mapping[str, Sequence[Panel]] = {
    "Overview": OVERVIEW,
    "Queues": QUEUES,
    "Speed": SPEED,
    "Errors": ERRORS,
    "External metrics": SERVER,
}


def chooser(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """A menu of what a label of a metric has been."""
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def render() -> str:
    """The whole dashboard as JSON."""
    board = (
        dashboard.Dashboard("Bullherd")
        .uid("bullherd")
        .description("Queues of BullMQ, their workers, and the operator that scales them.")
        .tags(["bullherd", "bullmq", "kubernetes"])
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(chooser("namespace", "Namespace", "bullherd_queue_backlog"))
        .with_variable(chooser("queuejob", "QueueJob", 'bullherd_queue_backlog{namespace=~"$namespace"}'))
    )
    for title, panels in ROWS.items():
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(panel)
    whole = board.build()
    for made, identity in zip(whole.panels or (), count(1), strict=False):
        made.id_val = identity
    return json.dumps(whole, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
