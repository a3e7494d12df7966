"""What README, CONTRIBUTING, CHANGELOG and docs point to is there: pages, headings, pictures, files, tests, commands,
flags and public names; and what is written by a script, or follows from the code, is what that gives."""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml

import imbalance_trainer
from benchmarks.__main__ import PARTS
from imbalance_trainer.__main__ import COMMANDS
from imbalance_trainer.utils.numeric import wilson_interval

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]
SCRIPTS = {f"examples/{script}.py": command for script, command in
           (("train_model", "train"), ("analyze_class_distribution", "analyze"), ("evaluate_model", "evaluate"),
            ("predict", "predict"))}  # fmt: skip
OF_OTHERS = """--config_file --cpu --num_processes --nproc_per_node --seeds --size --tables --check --picture
    --gpus-per-node --nnodes --ntasks-per-node --rdzv_backend --rdzv_endpoint --rdzv_id --requeue --standalone
    """.split()  # flags of launchers, benchmarks and ruff

_FENCED = re.compile(r"^( *)(```|~~~)(\w*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(<?([^()<>\s]*)>?(?:\s+\"[^\"]*\")?\)")
_TAG = re.compile(r"<(img|a)\b[^>]*?(?:src|href)=\"([^\"]*)\"")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# folders that only one machine has; a URL or a relative path has something before the slash
_MACHINE = re.compile(r"(?<![\w.:/~-])/(?:home|root|tmp|work|Users|opt|mnt|srv|var|data|scratch)/|\b[A-Z]:\\|file://")


# ---- links and pictures ----


def prose(text):
    """A page without its code."""
    return _INLINE.sub("code", _FENCED.sub("", text))


def slug(heading):
    """The anchor that GitHub gives a heading."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().rstrip("#").strip())
    return re.sub(r"[^\w\- ]", "", re.sub(r"[*`]", "", shown).lower()).replace(" ", "-")


def anchors(text):
    """The anchors of a page; of headings that are alike the second has -1 at its end, and so on."""
    found = {}
    for heading in re.findall(r"^ {0,3}#{1,6} +(.+)$", _FENCED.sub("", text), re.MULTILINE):
        name = slug(heading)
        found[name] = found.get(name, -1) + 1
    return {name if n == 0 else f"{name}-{n}" for name, last in found.items() for n in range(last + 1)}


def broken_links(page, text):
    """A line for each link or picture of a page that leads nowhere."""
    links = [(bool(mark), target) for mark, target in _LINK.findall(prose(text))]
    links += [(tag == "img", target) for tag, target in _TAG.findall(prose(text))]
    for is_picture, target in links:
        if _ELSEWHERE.match(target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if target.startswith("/") or ROOT not in (file, *file.parents):
            yield f"{target}: leaves the repository"
        elif (file != page and not file.exists()) or (is_picture and not file.is_file()):
            yield f"{target}: is not there"
        elif anchor and file.suffix == ".md":
            own = text if file == page else file.read_text(encoding="utf-8")
            if anchor not in anchors(own):
                yield f"{target}: there is no such heading"


# ---- commands ----


def command_lines(text):
    """What a reader may type, in words: lines of bash blocks, and code in a line."""
    blocks = [body for _, _, language, body in _FENCED.findall(text) if language in ("bash", "sh", "shell")]
    lines = [line for body in blocks for line in re.sub(r"\\\n\s*", " ", body).splitlines()]
    lines += [" ".join(code.split()) for _, code in _INLINE.findall(_FENCED.sub("", text))]
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quotation mark of prose
            words = line.split()
        command = []
        for word in [*words, "&&"]:
            if word in ("&&", "|", ";", ">", "2>"):
                yield command
                command = []
            else:
                command.append(word)


def unknown_commands(text):
    """A line for each command, script or flag of ours that does not exist."""
    for words in command_lines(text):
        for i, word in enumerate(words):
            flags = {w.partition("=")[0] for w in words[i + 1 :] if re.match(r"--[a-z]", w)}
            if word == "imbalance-trainer" and words[i + 1 :] and not words[i + 1].startswith("-"):
                yield from in_command_line(words[i + 1], flags)
            elif re.fullmatch(r"benchmarks(\.\w+)?", word) and i and words[i - 1] == "-m":
                yield from in_benchmark(word, words[i + 1 :], flags)
            elif re.fullmatch(r"(examples|docs)/[\w/]+\.py", word):
                yield from in_script(word, flags)


def in_command_line(name, flags):
    if name.isupper():  # imbalance-trainer COMMAND
        return
    if name not in COMMANDS:
        yield f"imbalance-trainer {name}: no such command"
        return
    yield from (f"imbalance-trainer {name} {flag}: no such flag" for flag in sorted(flags - known_flags(name)))


def known_flags(command):
    parser = importlib.import_module(f"imbalance_trainer.cli.{command}").make_parser()
    return {*parser._option_string_actions, "--json"}


def in_benchmark(module, rest, flags):
    file = ROOT / f"{module.replace('.', '/')}.py"
    file = ROOT / "benchmarks" / "__main__.py" if module == "benchmarks" else file
    if not file.is_file():
        yield f"python -m {module}: no such module"
        return
    if module == "benchmarks":
        parts = [word for word in rest if re.fullmatch(r"[a-z]+", word)]
        yield from (f"python -m benchmarks {part}: no such part" for part in parts if part not in PARTS)
    yield from (f"python -m {module} {flag}: no such flag" for flag in sorted(flags) if not is_in(file, flag))


def in_script(name, flags):
    if not (ROOT / name).is_file():
        yield f"{name}: is not there"
        return
    files = (ROOT / name, ROOT / "examples" / "by_feature" / "_demo.py")
    known = known_flags(SCRIPTS.get(name, "train"))
    missing = (f for f in sorted(flags - known) if name in SCRIPTS or not any(is_in(file, f) for file in files))
    yield from (f"{name} {flag}: no such flag" for flag in missing)


def is_in(file, flag):
    """Whether a script makes a flag, as an argument of a parser or as a field of a dataclass."""
    source = file.read_text(encoding="utf-8")
    return f'"{flag}"' in source or bool(re.search(rf"^    {flag[2:]}:", source, re.MULTILINE))


# ---- all pages ----


def problems(page, text):
    """All that is wrong with what a page names."""
    found = [*broken_links(page, text), *unknown_commands(text)]
    return found + [f"{line.strip()}: a path of one machine" for line in text.splitlines() if _MACHINE.search(line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page):
    assert not problems(page, page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[a](nowhere.md)", "nowhere.md: is not there"),
        ("[a\nb](nowhere.md#c)", "nowhere.md#c: is not there"),
        ("[`code`](losses.md#no-such-heading)", "losses.md#no-such-heading: there is no such heading"),
        ("# A\n\n```bash\n# B\n```\n[b](#b)", "#b: there is no such heading"),
        ("![a](pictures/nowhere.png)", "pictures/nowhere.png: is not there"),
        ('<img src="pictures/nowhere.png" width="400">', "pictures/nowhere.png: is not there"),
        ("[a](/docs/losses.md)", "/docs/losses.md: leaves the repository"),
        ("in `/home/me/data` it is", "in `/home/me/data` it is: a path of one machine"),
        ("```bash\ncd C:\\data\n```", "cd C:\\data: a path of one machine"),
        ("`imbalance-trainer analyse ./data`", "imbalance-trainer analyse: no such command"),
        ("```bash\nimbalance-trainer tune \\\n    --model x\n```", "imbalance-trainer tune --model: no such flag"),
        ("`python -m benchmarks.nothing`", "python -m benchmarks.nothing: no such module"),
        ("`python -m benchmarks.quality --speed`", "python -m benchmarks.quality --speed: no such flag"),
        ("`python examples/train.py`", "examples/train.py: is not there"),
        ("`torchrun examples/train_model.py --epochs 3`", "examples/train_model.py --epochs: no such flag"),
        ("`examples/by_feature/lora.py --labels 9`", "examples/by_feature/lora.py --labels: no such flag"),
    ],
)
def test_what_is_not_there_is_named(text, what):
    assert problems(ROOT / "docs" / "page.md", text) == [what]


@pytest.mark.parametrize(
    "text",
    [
        "[a](losses.md#asymmetric) [b](../README.md) [c](https://example.org/x.md#y) [d](mailto:a@b.c)",
        "# The head's start, `code`\n\n[a](#the-heads-start-code)\n\n```\n[no link](nowhere.md)\n```\n`[nor](this)`",
        "# A\n\n## A\n\n[a](#a-1)",
        "```bash\nimbalance-trainer evaluate --model_dir a --data_dir b --json  # --no_flag\n```",
        "`accelerate launch --num_processes 8 examples/train_model.py --bf16 --num_epochs=3`",
        "`python -m benchmarks thresholds --quick`, `python examples/...`",
        "data in `./data/train.csv`, `runs/data`, and https://example.org/home/x",
    ],
)
def test_what_is_there_passes(text):
    assert not problems(ROOT / "docs" / "page.md", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_files_and_public_names_exist(page):
    text = page.read_text(encoding="utf-8")
    if page.name != "CHANGELOG.md":  # which names those of before
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z_0-9-]*", text))
        assert flags <= {*OF_OTHERS, *(flag for name in COMMANDS for flag in known_flags(name))}
        for file in re.findall(r"\b(?:examples|benchmarks|docs|tests)/[\w/]+\.(?:py|md|png|txt)", text):
            assert (ROOT / file).is_file(), file
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "imbalance_trainer":
                assert {alias.name for alias in node.names} <= set(imbalance_trainer.__all__)


def test_the_two_commands_are_where_ci_reads_them():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, last in (("demo", "examples/train_model.py"), ("test", "pytest")):
        found = re.search(rf"<!-- command: {name} -->\n```bash\n(pip install [^\n]+)\n```", text)
        assert found, name
        assert shlex.split(found[1])[-1] == last


def test_each_row_of_the_drop_in_table_names_tests_that_exist():
    table = [line for line in (ROOT / "docs/drop-in.md").read_text(encoding="utf-8").splitlines() if "`test_" in line]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for line in table for name in re.findall(r"`(test_\w+)`", line.rsplit("|", 2)[1])}
    assert min(len(table), len(named)) > 30
    assert not {name for name in named if f"def {name}(" not in source}


# ---- the index and the site ----


def test_the_index_and_the_sites_navigation_have_every_page_in_the_same_groups():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    home, *groups = site["nav"]
    assert list(home.values()) == ["README.md"]
    navigation = {
        name: [next(iter(page.values())) for page in pages] for group in groups for name, pages in group.items()
    }
    index = {}
    for part in re.split(r"^## ", (ROOT / "docs/README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        index[part.partition("\n")[0]] = re.findall(r"^- \[[^\]]+\]\(([\w-]+\.md)\)", part, re.MULTILINE)
    navigation["Reference"].remove("api.md")  # made by the site
    assert index == navigation
    listed = [page for pages in index.values() for page in pages]
    assert sorted(listed) == sorted(page.name for page in DOCS if page.name != "README.md")


# ---- what is made, and what follows from the code ----


def script(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_can_be_drawn_and_are_shown(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = script("pictures")
    page = (ROOT / "docs/class-imbalance.md").read_text(encoding="utf-8")
    for name, draw in pictures.PICTURES.items():
        draw(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"](pictures/{name})" in page


def test_the_weights_in_the_table_of_strategies():
    pytest.importorskip("matplotlib")
    pictures = script("pictures")
    counts = pictures.LabelDistribution.from_counts(pictures.SUPPORT, pictures.N_ROWS, pictures.demo_schema())
    at = [1, 6, 10]  # of the demo's labels: ratio 1, 11.8 and 100
    assert counts.imbalance_ratio[at] == pytest.approx([1, 11.8, 100], abs=0.05)
    page = (ROOT / "docs/class-imbalance.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([\d. /]+)", page, re.MULTILINE))
    assert set(rows) == set(pictures.STRATEGIES)
    for strategy, said in rows.items():
        weights = pictures.compute_class_weights(counts, "auto", strategy).values[at]
        assert [float(number) for number in said.split("/")] == pytest.approx(weights, rel=0.02), strategy


def test_the_intervals_of_a_recall_are_wilsons():
    page = (ROOT / "docs/class-imbalance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) of (\d+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", page, re.MULTILINE)
    assert len(rows) >= 5
    for found, of, *said in rows:
        share, (low, high) = int(found) / int(of), wilson_interval(int(found), int(of))
        assert [f"{round(float(x), 2):.2f}" for x in (share, low, high)] == said
