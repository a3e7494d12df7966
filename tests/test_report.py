"""report.html: well-formed, self-contained, readable without pictures, and true to the history."""

import json
import re

import pytest

from imbalance_trainer.cli.report import main
from imbalance_trainer.monitor.diagnose import Settings, diagnose
from imbalance_trainer.monitor.run_record import read_run
from imbalance_trainer.reports.report import FILE_NAME, MAX_COLUMNS, write_report
from imbalance_trainer.utils.errors import DataError, UsageError
from tests.made_runs import ELEVEN, FINDINGS, Finding, curves_json, eleven, history, many, run_json, write_run
from tests.pages import Page, checked

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" & 'so'",
    "仇恨言论",
    "🙂 emoji",
    "x" * 400,
    "&lt;b&gt; {{ 7 * 7 }} {% raw %} $x^2$ [b]",
    "\x00\ud800",
    " ",
]


def report(folder, findings=()):
    path = write_report(folder, findings=findings)
    assert path == folder / FILE_NAME
    return checked(path.read_text(encoding="utf-8"))


@pytest.fixture
def run_of_eleven(tmp_path):
    return eleven(tmp_path / "hateful-roberta")


def entries_of(folder):
    return [json.loads(line) for line in (folder / "label_history.jsonl").read_text(encoding="utf-8").splitlines()]


# ---- what stands in it ----


def test_findings_come_first_most_severe_first_with_severity_in_words(run_of_eleven):
    page = report(run_of_eleven, FINDINGS)
    badges = re.findall(r"(Error|Warning|Note|Good) (?=[A-Z])", page.words)
    assert badges == ["Error", "Error", "Warning", "Warning", "Note", "Good"]
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "h2"]
    assert sections[:2] == ["findings", "recall"]
    assert "Found: 3 errors, 2 warnings, 1 note." in page.words
    for finding in FINDINGS:
        assert finding.evidence in page.words
        assert finding.advice in page.words


def test_a_kind_that_labels_share_is_said_once(run_of_eleven):
    found = [Finding("not_learned", f"label {i}", "error", f"evidence {i}", "do this") for i in range(300)]
    page = report(run_of_eleven, found)
    assert page.words.count("do this") == 1
    assert "(300 labels)" in page.words
    assert "295 more labels" in page.words
    assert "evidence 299" in page.words


def test_advice_that_differs_the_weight_to_try_and_how_long_it_is_so(run_of_eleven):
    advice = "--custom_weights '{}'"
    found = [
        Finding("not_learned", name, "warning", "0 of 3 found", advice.format(name), 10.0, 15.0, evaluations=4)
        for name in "ab"
    ]
    page = report(run_of_eleven, found)
    assert page.words.count("What to do:") == 2
    assert "a: 0 of 3 found; so at 4 evaluations in a row; weight 10, to try: 15." in page.words


def test_the_heat_map_has_the_recall_of_the_history_rarest_first(run_of_eleven):
    page, entries = report(run_of_eleven), entries_of(run_of_eleven)
    head, *rows = page.table("Recall by evaluation")
    assert head[3:] == [f"epoch {i}step {120 * i}{'best' * (i == 4)}" for i in range(1, 6)]
    assert [row[0] for row in rows[:-2]] == ELEVEN[::-1]
    for row in rows[:-2]:
        for cell, entry in zip(row[3:], entries, strict=True):
            of = next(r for r in entry["labels"] if r["label"] == row[0])
            assert cell == f"{of['recall']:.2f}"
    zeros = [sum(r["support"] > 0 and r["recall"] == 0 for r in entry["labels"]) for entry in entries]
    assert rows[-1][3:] == [str(n) for n in zeros]


def test_the_table_of_labels_has_the_numbers_of_the_last_evaluation(run_of_eleven):
    head, *rows = report(run_of_eleven).table("All labels on eval")
    by_label = {row["label"]: row for row in entries_of(run_of_eleven)[-1]["labels"]}
    for row in rows:
        shown, of = dict(zip(head, row, strict=True)), by_label[row[0]]
        assert shown["positives in training"] == f"{of['train_support']:,}"
        assert shown["positives"] == f"{of['support']:,}"
        assert shown["found"] == f"{of['true_positives']:,}"
        assert shown["recall"] == f"{of['recall']:.2f}"
        assert shown["precision"] == (f"{of['precision']:.2f}" if of["predicted"] else "-")
        assert shown["average precision"] == f"{of['average_precision']:.2f}"
        assert shown["threshold of best F1"] == f"{of['best_threshold']:.3f}"


def test_closing_has_a_column_where_it_took_something_away(run_of_eleven):
    assert "found before closing" not in report(run_of_eleven).table("All labels on eval")[0]
    entries = entries_of(run_of_eleven)
    entries[-1]["labels"][3]["found_before_closing"] += 7
    assert "found before closing" in report(write_run(run_of_eleven, entries)).table("All labels on eval")[0]


def test_the_best_model_is_named_where_it_is_not_the_last(run_of_eleven):
    page, entries = report(run_of_eleven), entries_of(run_of_eleven)
    values = [entry["metrics"]["secondary_f1_macro"] for entry in entries]
    said = (f"secondary_f1_macro went from {values[0]:.3f} at epoch 1 (step 120) to {values[4]:.3f} at epoch 5 "
            f"(step 600); the best was {values[3]:.3f} at epoch 4 (step 480), not the last one.")  # fmt: skip
    assert said in page.words
    page = report(write_run(run_of_eleven, entries[:4]))
    assert "the last evaluation is the best" in page.words


def test_weights_settings_and_versions_are_those_of_run_json(run_of_eleven):
    page = report(run_of_eleven)
    for row in (["learning_rate", "2e-05"], ["fp16", "false"], ["threshold_floor", "not set"]):
        assert row in page.table("Settings")
    assert ["transformers", "5.23.0"] in page.table("Versions")
    assert "insults implies hateful" in page.words
    _, *rows = page.table("Class weights")
    rule = json.loads((run_of_eleven / "run.json").read_text())
    of = {row["label"]: row for row in rule["labels"]}
    assert [row[0] for row in rows] == ELEVEN[::-1]
    for row in rows:
        assert row[3] == f"{of[row[0]]['weight']:.2f}"
        assert row[4] == of[row[0]]["reason"]


def test_each_curve_says_its_thresholds(run_of_eleven):
    page = report(run_of_eleven)
    assert "Nothing stands out" in page.words
    assert "No errors and no warnings." in page.words
    row = entries_of(run_of_eleven)[-1]["labels"][1]
    at = f"● at threshold 0.500: recall {row['recall']:.2f}, precision {row['precision']:.2f}."
    best = f"○ best F1 at {row['best_threshold']:.3f}: recall {row['best_recall']:.2f}"
    assert at in page.words
    assert best in page.words
    assert len([svg for svg in page.named("svg") if svg["aria-labelledby"].startswith("curve-")]) == 11
    assert page.words.count("Precision over recall of ") == 11


def test_tuned_thresholds_of_the_config_have_a_column(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 2)
    ours = {"thresholds": {name: 0.1 + 0.05 * i for i, name in enumerate(ELEVEN)}, "hierarchy_policy": "drop_child"}
    page = report(write_run(tmp_path, entries, config={"imbalance_trainer": ours}))
    head, *rows = page.table("All labels on eval")
    assert head[-1] == "in config.json"
    assert rows[0][-1] == "0.100"


def test_a_test_split_has_a_part_of_its_own(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 3)
    entries.append({**entries[1], "split": "test", "metrics": {"secondary_f1_macro": 0.4321}})
    page = report(write_run(tmp_path, entries))
    assert ["secondary_f1_macro", "0.432"] in page.table("Metrics on test")
    assert "3 evaluations on eval." in page.words
    assert len(page.table("All labels on test")) == 12


def test_several_splits_each_have_a_heat_map_and_a_line(tmp_path):
    one, two = (history(ELEVEN, range(400, 1500, 100), 3, seed=i) for i in range(2))
    entries = [
        {**e, "split": f"eval_{name}"}
        for pair in zip(one, two, strict=True)
        for e, name in zip(pair, "ab", strict=True)
    ]
    page = report(write_run(tmp_path, entries))
    assert len([1 for attrs in page.named("table") if attrs.get("class") == "heat"]) == 2
    assert "secondary_f1_macro, eval_b" in page.words


def test_an_evaluation_after_training_is_the_current_one_and_no_point_of_the_curve(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 3)
    again = {**entries[1], "metrics": {**entries[1]["metrics"], "secondary_f1_macro": 0.999}}
    folder = write_run(tmp_path, [*entries, again])
    page = report(folder)
    assert "The model that was kept is that of epoch 2 (step 240): secondary_f1_macro 0.999." in page.words
    assert page.table("All labels on eval, epoch 2")
    assert read_run(folder).best is not None
    assert read_run(folder).best["metrics"]["secondary_f1_macro"] < 0.9
    assert [e["metrics"]["secondary_f1_macro"] == 0.999 for e in read_run(folder).latest] == [False, True, False]


# ---- little, much and hostile ----


def test_735_labels_fit_and_the_changed_ones_are_shown(tmp_path):
    folder = many(tmp_path / "many")
    page = report(folder)
    assert (folder / FILE_NAME).stat().st_size < 2_000_000
    _, *rows = page.table("Recall by evaluation")
    assert len(rows) == 20 + 20 + 2
    assert len(page.table("All labels on eval")) == 736
    support = [int(row[1].replace(",", "")) for row in rows[:-2]]
    assert support == sorted(support)
    entries = entries_of(folder)
    change = {
        b["label"]: b["recall"] - a["recall"] for a, b in zip(entries[0]["labels"], entries[-1]["labels"], strict=True)
    }
    assert max(change, key=change.get) in [row[0] for row in rows]


def test_many_evaluations_are_thinned_to_the_first_the_last_and_the_best(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 40, best=16)
    entries[16]["metrics"]["secondary_f1_macro"] = 0.99
    page = report(write_run(tmp_path, entries))
    head = page.table("Recall by evaluation")[0][3:]
    assert MAX_COLUMNS <= len(head) <= MAX_COLUMNS + 1
    assert head[0].endswith("step 120")
    assert head[-1].endswith("step 4,800")
    assert [h for h in head if h.endswith("best")] == ["epoch 17step 2,040best"]
    assert len(page.table("Metrics and loss")) == 41


def test_version_1_and_a_single_evaluation(tmp_path):
    old = {"label": "a", "support": 3, "predicted": 2, "true_positives": 1, "recall": 1 / 3, "precision": 0.5}
    new = {**old, "label": "b", "support": 0, "predicted": 0, "recall": 0.0, "precision": 0.0}
    entry = {"version": 1, "split": "eval", "step": 0, "epoch": None, "metrics": {"secondary_f1_macro": 0.2}}
    entry["labels"] = [old, new]
    page = report(write_run(tmp_path, [entry]))
    assert "One evaluation so far: secondary_f1_macro is 0.200 at step 0." in page.words
    _, *rows = page.table("Recall by evaluation")
    assert rows[0] == ["b", "-", "0", "-"]  # no positives, so no recall, whatever the file says
    assert rows[1] == ["a", "-", "3", "0.33"]
    assert rows[-1][-1] == "0"
    assert "There are no curves" in page.words
    assert "There is no run.json" in page.words
    assert "No class weights are known" in page.words


def test_nulls_anywhere_are_hyphens(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 3)
    for entry in entries:
        entry["metrics"] = dict.fromkeys(entry["metrics"])
        entry["train_losses"] = [[10, None], [20, None]]
        entry["labels"] = [{**dict.fromkeys(row), "label": row["label"]} for row in entry["labels"]]
    run = run_json(ELEVEN, history(ELEVEN, range(400, 1500, 100), 1))
    run["labels"] = [{**dict.fromkeys(row), "label": row["label"]} for row in run["labels"]]
    page = report(write_run(tmp_path, entries, {**run, "groups": None, "implications": None, "settings": None}))
    assert "No label has positives in this data." in page.words
    assert "NaN" not in page.words
    assert "None" not in page.words


def test_weights_of_the_history_stand_where_run_json_has_none(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 1)
    run = {"labels": [{"label": "insults", "weight": None, "reason": None}], "settings": None}
    _, *rows = report(write_run(tmp_path, entries, run)).table("Class weights")
    weight = entries[0]["labels"][1]["weight"]
    assert ["insults", "500", "-", f"{weight:.2f}", "not recorded"] in rows


def test_a_loss_that_was_nan_is_said(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 2)
    entries[1]["train_losses"][3][1] = None
    page = report(write_run(tmp_path, entries))
    assert "It was NaN or infinite at 1 logged step, first at step 160." in page.words


def test_a_long_log_of_losses_is_a_small_picture(tmp_path):
    entries = history(ELEVEN, range(400, 1500, 100), 2)
    entries[1]["train_losses"] = [[i, 0.5 + 0.4 * (-1) ** i / (1 + i % 7)] for i in range(100_000, 0, -1)]
    page = report(write_run(tmp_path, entries))
    assert (tmp_path / FILE_NAME).stat().st_size < 1_000_000
    assert page.table("Metrics and loss")[2][-1] == "0.5667"  # the loss at the last step, which is logged first


def test_hostile_names_are_text_everywhere(tmp_path):
    entries = history(HOSTILE, [400, 300, 200, 100, 50, 30, 20, 10], 3)
    found = [Finding("not_learned", name, "error", f"{name} is 0", f"--custom_weights '{name}'") for name in HOSTILE]
    run = run_json(HOSTILE, entries)
    run["settings"]["<img src=x onerror=alert(1)>"] = "</table><script>"
    page = report(write_run(tmp_path, entries, run, curves_json(entries[-1])), found)
    names = {"as they are": {*HOSTILE[:4], HOSTILE[5]}, "mended": {"\N{REPLACEMENT CHARACTER}" * 2, "(no name)"}}
    for start, long in (("Recall by evaluation", "x" * 46 + "..." + "x" * 31), ("All labels on eval", HOSTILE[4])):
        _, *rows = page.table(start)
        assert set.union(*names.values(), {long}) <= {row[0] for row in rows}
    assert page.words.count("<script>alert(1)</script>") > 5
    assert "49" not in [word.strip(",") for word in page.words.split()]  # 7 * 7


# ---- mistakes, and the command ----


def test_no_such_folder_and_no_history(tmp_path):
    with pytest.raises(UsageError, match="there is no such folder; give the --output_dir of a training"):
        write_report(tmp_path / "nowhere", findings=[])
    with pytest.raises(UsageError, match=r"holds no label_history.jsonl; it is written at the first evaluation"):
        write_report(tmp_path, findings=[])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no evaluation yet"),
        ("\n\n", "has no evaluation yet"),
        ('{"version": 2', "has no evaluation yet"),  # cut off
        ("{broken\n", r"label_history.jsonl, line 1: is no valid JSON"),
        ("[1]\n", r"line 1: is no evaluation .*it is a list"),
        ('{"split": "eval", "step": 1, "metrics": {}}\n', r"line 1: .*'labels' is missing"),
        ('{"split": "eval", "step": 1, "metrics": {}, "labels": [{}]}\n', r"line 1: .*no 'label'"),
    ],
)
def test_a_broken_history_is_said_with_its_line(tmp_path, text, said):
    (tmp_path / "label_history.jsonl").write_text(text)
    with pytest.raises(DataError, match=said):
        write_report(tmp_path, findings=[])
    assert not (tmp_path / FILE_NAME).exists()


def test_a_broken_line_in_the_middle_is_an_error_and_a_cut_off_end_is_not(run_of_eleven):
    path = run_of_eleven / "label_history.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"version": 2, "split": "ev')
    assert "The last line of the history was cut off" in report(run_of_eleven).words
    lines = whole.splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:50], *lines[3:]]) + "\n")
    with pytest.raises(DataError, match="line 3: is no valid JSON"):
        write_report(run_of_eleven, findings=[])
    path.write_text(whole)
    for name in ("run.json", "precision_recall.json", "config.json"):  # each is read before those that were broken
        file = run_of_eleven / name
        kept = file.read_text() if file.exists() else "{}"
        file.write_text("{")
        with pytest.raises(DataError, match=f"{name}: is no valid JSON"):
            write_report(run_of_eleven, findings=[])
        file.write_text(kept)


def test_the_history_is_diagnosed_with_the_settings_of_the_run(run_of_eleven):
    page = Page(write_report(run_of_eleven).read_text(encoding="utf-8"))
    record = read_run(run_of_eleven)
    found = diagnose(list(record.latest), Settings.from_run(record.run))
    assert found
    assert all(finding.evidence in page.words for finding in found)
    settings = json.loads((run_of_eleven / "run.json").read_text())
    settings["settings"]["rare_label_patience"] = 100
    (run_of_eleven / "run.json").write_text(json.dumps(settings))
    assert "Never found" in page.words
    assert "Never found" not in Page(write_report(run_of_eleven).read_text(encoding="utf-8")).words


def test_the_command_writes_where_it_is_told(run_of_eleven, tmp_path, capsys):
    main([str(run_of_eleven)])
    assert (run_of_eleven / FILE_NAME).is_file()
    other = tmp_path / "new" / "other.html"
    main([str(run_of_eleven), "--output", str(other)])
    assert other.read_bytes() == (run_of_eleven / FILE_NAME).read_bytes()
    assert str(other) in capsys.readouterr().out
