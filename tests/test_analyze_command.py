"""`imbalance-trainer analyze` as a user runs it, and its settings, which train without an edit."""

import json
import re

import numpy as np
import pytest
import yaml

from imbalance_trainer.analysis.recommend import Choice, Recommendation, config_text
from imbalance_trainer.cli.analyze import main as analyze
from imbalance_trainer.cli.train import make_parser
from imbalance_trainer.utils.errors import UsageError
from tests.test_doc_links import ROOT
from tests.test_examples import encoder, load, write_csv  # noqa: F401 - a fixture

train = load("train_model")


@pytest.fixture
def data_dir(tmp_path):
    """A hundred rows; 'threats' has three positives in training, and none in validation."""
    rng = np.random.default_rng(0)
    rows = [(f"bread {i} soup", "0,0,0") for i in range(60)]
    rows += [(f"you clown {i}", "1,1,0") for i in range(30)]
    rows += [(f"we know where you live {i}", "1,0,1") for i in range(10)]
    return write_csv(tmp_path / "my data", [rows[i] for i in rng.permutation(len(rows))])


def parsed(file, *flags):
    return make_parser().parse(["--config", str(file), "--output_dir", "unused", "--use_cpu", *flags])[:3]


def recommended(choices):
    none = np.zeros(0)
    return Recommendation(tuple(choices), ("Line\none: two # three",), None, none, none, none, none)


def test_the_demo_needs_no_argument_and_the_docs_show_what_is_printed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    analyze([])
    printed = capsys.readouterr().out
    assert printed.startswith("Demo:")
    assert max(map(len, printed.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []
    page = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    (transcript,) = re.findall(r"Of the demo, shortened:\n\n```\n(.*?)```", page, re.DOTALL)
    pieces = transcript.split("...\n")  # dots stand for what is left out
    assert len(pieces) == 3
    assert all(piece.strip() in printed for piece in pieces)


def test_the_picture_and_the_page_are_written_where_asked_for(data_dir, tmp_path, capsys):
    picture = tmp_path / "p" / "labels.svg"
    picture.parent.mkdir()
    flags = [str(data_dir), "--plot", str(picture), "--html", str(tmp_path / "new" / "page.html")]
    found = analyze(flags)
    assert (found["name"], found["split"]) == ("my data", "train")
    assert found["notes"][0].startswith("Read train.csv")
    assert "Picture: " in capsys.readouterr().out
    assert picture.stat().st_size > 10_000
    assert (tmp_path / "new" / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_settings_go_through_the_parser_of_training(data_dir, tmp_path, capsys):
    file = tmp_path / "my settings.yaml"
    analyze([str(data_dir), "--config_out", str(file), "--model_name_or_path", "org/some-encoder"])
    data_args, args, _ = parsed(file)
    found = yaml.safe_load(file.read_text())
    assert (data_args.data_dir, data_args.model_name_or_path) == (str(data_dir), "org/some-encoder")
    assert (args.loss, args.focal_gamma, args.weight_strategy) == ("focal", 2.0, "sqrt_tiered")
    assert args.num_train_epochs == found["num_train_epochs"] == 20  # a hundred rows want more epochs
    assert args.metric_for_best_model == found["metric_for_best_model"]
    assert data_args.tune_thresholds is found["tune_thresholds"]
    assert f"--config '{file}'" in capsys.readouterr().out


def test_what_was_asked_for_replaces_what_is_recommended(data_dir, tmp_path, capsys):
    file = tmp_path / "train.yaml"
    analyze([str(data_dir), "--config_out", str(file), "--weight_strategy", "balanced", "--max_weight", "7",
             "--custom_weights", '{"threats": 6}', "--text_column", "text"])  # fmt: skip
    found = yaml.safe_load(file.read_text())
    assert (found["weight_strategy"], found["max_weight"], found["text_column"]) == ("balanced", 7.0, "text")
    assert json.loads(found["custom_weights"]) == {"threats": 6}
    assert " 6  custom" in capsys.readouterr().out
    data_args, args, _ = parsed(file)
    assert (args.weight_strategy, data_args.custom_weights) == ("balanced", '{"threats": 6}')


def test_settings_train_from_any_folder(data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.json").write_text('{"threats": 6}')
    (data_dir / "info.json").write_text('{"names": ["hateful", "insults", "threats"]}')
    flags = ["--label_schema", "my data/info.json", "--custom_weights", "weights.json", "--config_out", "train.yaml"]
    analyze(["--train_file", "my data/train.csv", *flags, "--loss", "bce"])
    found = yaml.safe_load((tmp_path / "train.yaml").read_text())
    paths = {"train_file": data_dir / "train.csv", "label_schema": data_dir / "info.json",
             "custom_weights": tmp_path / "weights.json"}  # fmt: skip
    assert {flag: found[flag] for flag in paths} == {flag: str(path) for flag, path in paths.items()}
    assert (found["model_name_or_path"], found["loss"]) == ("roberta-base", "bce")
    assert "--config train.yaml" in capsys.readouterr().out
    analyze(["my data", "--config_out", "train.yaml", "--class_weights", "none", "--plot", "new/labels.svg"])
    found = yaml.safe_load((tmp_path / "train.yaml").read_text())
    assert (found["data_dir"], found["class_weights"]) == (str(data_dir), "none")
    assert (tmp_path / "new" / "labels.svg").is_file()


def test_any_reason_and_any_value_stay_yaml(tmp_path):
    choices = [
        Choice("loss", "focal", "two\nlines: # and 'quotes'", "x: y"),
        Choice("tune_thresholds", False, "b", "c"),
    ]
    given = {"data_dir": "a: b # c", "label_columns": ["no", "1e5", "- x", "ünï"], "text_column": None}
    file = tmp_path / "train.yaml"
    file.write_text(config_text(recommended(choices), given, {}, "a\nb"), encoding="utf-8")
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == {
        "data_dir": "a: b # c", "label_columns": ["no", "1e5", "- x", "ünï"], "loss": "focal",
        "tune_thresholds": False,
    }  # fmt: skip
    data_args, _, _ = parsed(file)
    assert (data_args.data_dir, data_args.label_columns) == ("a: b # c", ["no", "1e5", "- x", "ünï"])


@pytest.mark.parametrize("kind", ["multi", "single", "common", "rules"])
def test_settings_train_without_an_edit(kind, data_dir, tmp_path, encoder, capsys):  # noqa: F811
    folder, rule = data_dir, {"names": ["hateful", "insults", "threats"], "groups": {"primary": ["hateful"]}}
    if kind == "single":
        folder = write_csv(tmp_path / "one", [(f"t {i}", "abc"[(i % 9) // 4]) for i in range(90)], header="text,label")
    elif kind == "common":
        folder = write_csv(tmp_path / "even", [(f"t {i}", f"{i % 2},{(i + 1) % 2}") for i in range(80)], "text,a,b")
    elif kind == "rules":
        (folder / "label_info.json").write_text(json.dumps({**rule, "implications": [["threats", "hateful"]]}))
    file = tmp_path / "train.yaml"
    analyze([str(folder), "--config_out", str(file), "--model_name_or_path", encoder])
    train.main(["--config", str(file), "--output_dir", str(tmp_path / "run"), "--max_steps", "3", "--use_cpu",
                "--max_train_samples", "40"])  # fmt: skip
    assert (tmp_path / "run" / "model.safetensors").is_file()
    loss = yaml.safe_load(file.read_text())["loss"]
    assert loss == {"common": "bce"}.get(kind, "focal")


def test_the_demo_is_trained_with_its_own_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    analyze(["--config_out", "train.yaml"])
    assert "model_name_or_path" not in yaml.safe_load((tmp_path / "train.yaml").read_text())
    train.main(["--config", "train.yaml", "--dry_run", "--max_train_samples", "64", "--use_cpu"])
    assert "Dry run: the data, the model and one update are fine." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_rows", "-1"], "--max_rows must be at least 0; got -1"),
        (["--data_dir", "other"], "The data is given twice, as .*my data.* and as 'other'; keep one"),
        (["--loss", "fokal", "--config_out", "x.yaml"], "Unknown loss 'fokal': did you mean 'focal'"),
        (["--loss", "ce"], "is not for multi-label problems"),
        (["--plot", "labels.xyz"], "labels.xyz: no picture format 'xyz'"),
        (["--custom_weights", '{"treats": 3}'], "Unknown label 'treats'"),
        (["more"], "'more' is one argument too many"),
    ],
)
def test_wrong_flags_are_one_sentence(flags, message, data_dir, monkeypatch):
    monkeypatch.chdir(data_dir.parent)
    with pytest.raises(UsageError, match=message):
        analyze([str(data_dir), *flags])
    assert list(data_dir.parent.iterdir()) == [data_dir]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "tests"], "Unknown --split 'tests': did you mean 'test'"),
        (["--split", "dev"], "Unknown --split 'dev': known are 'train', 'validation', 'test'"),
    ],
)
def test_wrong_flags_are_said_before_the_data_is_read(flags, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        analyze([str(tmp_path / "nowhere"), *flags])


def test_a_file_in_the_way_of_the_page_is_a_usage_error(data_dir, tmp_path):
    (tmp_path / "file").write_text("")
    for flag in ("--html", "--config_out", "--plot"):
        with pytest.raises(UsageError, match="cannot be written"):
            analyze([str(data_dir), flag, str(tmp_path / "file" / "page.svg")])


def test_a_gamma_asks_for_the_focal_loss_and_a_loss_that_weighs_by_itself_has_no_weights(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [(f"text {i}", f"{rng.integers(2)},{rng.integers(2)},{rng.integers(2)}") for i in range(100)]
    assert analyze([str(write_csv(tmp_path / "even", rows)), "--focal_gamma", "3"])["labels"]
    capsys.readouterr()
    (tmp_path / "classes.csv").write_text(
        "text,label\n" + "".join(f"text {i},{'rare' if i < 5 else i % 2}\n" for i in range(100))
    )
    flags = [str(tmp_path / "classes.csv"), "--label_columns", "label", "--loss", "logit_adjusted"]
    found = analyze([*flags, "--config_out", str(tmp_path / "x.yaml")])
    assert {label["weight"] for label in found["labels"]} == {1.0}
    assert "class_weights: none" in (tmp_path / "x.yaml").read_text()
    assert "gets weight" not in capsys.readouterr().out


def test_files_are_written_before_the_output_that_a_reader_may_cut(tmp_path, monkeypatch):
    def closed(*args, **kwargs):
        raise BrokenPipeError

    monkeypatch.setattr("imbalance_trainer.cli.analyze.analysis_text", closed)
    with pytest.raises(BrokenPipeError):
        analyze(["--config_out", str(tmp_path / "x.yaml"), "--html", str(tmp_path / "x.html")])
    assert {path.name for path in tmp_path.iterdir()} == {"x.yaml", "x.html"}


def test_the_baseline_is_what_a_linear_model_finds(data_dir, tmp_path, capsys):
    found = analyze([str(data_dir), "--baseline", "--html", str(tmp_path / "page.html")])["baseline"]
    said = " ".join(capsys.readouterr().out.split())
    wrong, missing = found["probably_wrong"], found["probably_missing"]
    doubts = f"train has {wrong} label entries that are probably wrong, {missing} missing"
    assert doubts in said
    assert doubts in " ".join((tmp_path / "page.html").read_text(encoding="utf-8").split())
    assert f"Linear baseline (TF-IDF and {found['classifier']}, no encoder): f1_macro {found['f1_macro']:.3f}" in said
    by_label = {row["label"]: row for row in found["labels"]}
    assert by_label["hateful"]["f1"] > 0.9  # its rows share words
    with pytest.raises(UsageError, match="--baseline reads all texts, and this data is read in batches"):
        analyze([str(data_dir), "--baseline", "--streaming", "true"])
