"""The style sheet of the report: for a wide screen, a phone, the dark and paper.

Text has at least 4.5 : 1 contrast on what lies behind it; what a colour says stands beside it in words or numbers.
"""

HEAT = (
    ("#f4f8fb", "#1a1a1a"),
    ("#e2ecf4", "#1a1a1a"),
    ("#d0e1ee", "#1a1a1a"),
    ("#bdd5e7", "#1a1a1a"),
    ("#a6c6dd", "#1a1a1a"),
    ("#8bb3d0", "#1a1a1a"),
    ("#6d9dc0", "#1a1a1a"),
    ("#3f739b", "#ffffff"),
    ("#2d6088", "#ffffff"),
    ("#1b4d74", "#ffffff"),
    ("#0b3c5d", "#ffffff"),
)
"""Background and text of a cell by its value, from 0 to 1 in tenths."""

LIGHT = {
    "ink": "#1a1a1a",
    "muted": "#555555",
    "back": "#ffffff",
    "soft": "#f4f6f8",
    "grid": "#dddddd",
    "link": "#0b3c5d",
    "s0": "#0b3c5d",
    "s1": "#9a3324",
    "s2": "#7a5200",
    "s3": "#4a4a4a",
    "error": "#9a3324",
    "warning": "#7a5200",
    "note": "#0b3c5d",
    "good": "#1f5f32",
}
DARK = {
    "ink": "#e8e8e8",
    "muted": "#b0b0b0",
    "back": "#16191c",
    "soft": "#22272b",
    "grid": "#444a50",
    "link": "#9cccf0",
    "s0": "#9cccf0",
    "s1": "#f2a08f",
    "s2": "#e8c06a",
    "s3": "#c4c4c4",
    "error": "#f2a08f",
    "warning": "#e8c06a",
    "note": "#9cccf0",
    "good": "#8fd3a2",
}
"""Colours by what they are for."""


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_HEAT = "".join(f".h{i}{{background:{back};color:{ink}}}" for i, (back, ink) in enumerate(HEAT))
_SERIES = "".join(f".s{i}{{stroke:var(--s{i})}}.f{i}{{fill:var(--s{i});stroke:var(--s{i})}}" for i in range(4))
_SEVERITY = "".join(f".{kind} .badge{{color:var(--{kind});border-color:var(--{kind})}}"
                    f".finding.{kind}{{border-left-color:var(--{kind})}}"
                    for kind in ("error", "warning", "note", "good"))  # fmt: skip

STYLE = f"""
:root{{color-scheme:light dark;{_variables(LIGHT)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%}}
body{{margin:0 auto;padding:1rem;max-width:76rem;background:var(--back);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;overflow-wrap:anywhere}}
h1{{font-size:1.6rem;line-height:1.2;margin:.5rem 0}}
h2{{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:2px solid var(--grid)}}
h3{{font-size:1rem;margin:.2rem 0}}
p{{margin:.4rem 0;max-width:48rem}}
a{{color:var(--link)}}
nav ul{{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.8rem 0}}
nav a{{display:inline-block;padding:.3rem 0}}
.muted,figcaption,caption{{color:var(--muted);font-size:.9rem}}
code{{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.9em;
background:var(--soft);padding:.1em .3em;border-radius:3px}}
.finding{{border-left:6px solid var(--grid);background:var(--soft);padding:.6rem .9rem;margin:.7rem 0}}
.finding ul{{margin:.3rem 0;padding-left:1.2rem}}
.badge{{display:inline-block;border:2px solid;border-radius:4px;padding:0 .45em;margin-right:.25em;font-weight:700;
font-size:.9rem;background:var(--back)}}
{_SEVERITY}
.scroll{{overflow-x:auto;max-width:100%;margin:.6rem 0;position:relative}}
.scroll:focus-visible,a:focus-visible,summary:focus-visible{{outline:3px solid var(--link);outline-offset:2px}}
table{{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}}
caption{{text-align:left;padding:.3rem 0;position:sticky;left:0;max-width:calc(min(100vw,76rem) - 2rem)}}
th,td{{padding:.25rem .5rem;border-bottom:1px solid var(--grid);text-align:right;vertical-align:top}}
thead th{{vertical-align:bottom;font-weight:600}}
th[scope=row],thead th:first-child,.t{{text-align:left}}
th[scope=row]{{font-weight:400;overflow-wrap:anywhere;min-width:8rem;max-width:20rem}}
.heat th[scope=row],.heat thead th:first-child,.wide th[scope=row],.wide thead th:first-child{{position:sticky;left:0;
background:var(--back);z-index:1}}
.heat th,.heat td{{padding:.25rem}}
.heat td{{min-width:3rem;vertical-align:middle}}
.heat td,.wide td{{width:1%}}
.heat thead th{{font-size:.8rem}}
.many thead th,.many td{{padding:.25rem .1rem}}
.many thead th{{font-size:.74rem}}
.heat th[scope=row]{{min-width:10rem;vertical-align:middle}}
.heat span,.flag{{white-space:nowrap}}
.heat [class]:not(.n){{text-align:center;border:1px solid var(--back)}}
.heat thead th.e{{text-align:center}}
.plain td{{white-space:nowrap}}
.wide{{font-size:.84rem}}
.wide td.t{{width:auto;min-width:12rem}}
.wide th,.wide td{{padding:.2rem .3rem}}
{_HEAT}
.zero{{background:#fdeeea;color:#8a2a1c;font-weight:700;box-shadow:inset 0 0 0 1.5px #8a2a1c}}
.none{{color:var(--muted)}}
details{{margin:.6rem 0}}
summary{{cursor:pointer;padding:.4rem 0;color:var(--link)}}
figure{{margin:.6rem 0;min-width:0}}
.pair{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:.5rem 2rem}}
.panels{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,14.5rem),1fr));gap:.8rem 1.5rem}}
.panels h3{{font-size:.95rem}}
.panels figure{{display:grid;grid-row:span 3;grid-template-rows:subgrid;margin:0;row-gap:.2rem}}
.panels h3{{align-self:end}}
.pair svg,.lone svg{{max-width:34rem}}
.panels svg{{max-width:20rem}}
svg{{display:block;width:100%;height:auto}}
svg text{{fill:var(--ink);font-family:inherit;font-size:13px;paint-order:stroke;stroke:var(--back);stroke-width:3px}}
svg .soft{{fill:var(--muted)}}
svg .grid{{stroke:var(--grid)}}
svg .axis{{stroke:var(--muted)}}
svg .line{{fill:none;stroke-width:2;stroke-linejoin:round}}
svg .thin{{fill:none;stroke-width:1}}
svg .faint{{fill-opacity:.5}}
svg .hollow{{fill:var(--back);stroke-width:2}}
{_SERIES}
.l1{{stroke-dasharray:7 4}}.l2{{stroke-dasharray:2 3}}.l3{{stroke-dasharray:9 3 2 3}}
dl{{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.15rem 1rem;margin:.5rem 0}}
dt{{color:var(--muted)}}
dd{{margin:0}}
@media (max-width:30rem){{
body{{padding:.75rem}}
th,td{{padding:.25rem .35rem}}
th[scope=row],.heat th[scope=row]{{min-width:7.5rem;max-width:9rem}}
.heat .n{{display:none}}
.panels svg{{max-width:15rem}}
.heat td{{min-width:2.8rem}}
}}
@media print{{
@page{{margin:14mm}}
body{{max-width:none;padding:0;font-size:10pt}}
nav{{display:none}}
h2,h3,summary{{break-after:avoid}}
tr,figure,.finding{{break-inside:avoid}}
thead{{display:table-header-group}}
.scroll{{overflow:visible}}
.heat td,.badge,.finding{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
table{{font-size:7.5pt}}
.wide{{font-size:6.5pt}}
.muted,figcaption,caption{{font-size:8.5pt}}
th,td{{padding:.1rem .25rem}}
.wide th,.wide td{{padding:.1rem .15rem}}
.wide thead th{{hyphens:auto}}
.heat td{{min-width:0}}
.heat thead th{{font-size:6.5pt}}
.many .n{{display:none}}
.many span{{white-space:normal}}
th[scope=row],.heat th[scope=row]{{min-width:5rem;max-width:11rem}}
.pair{{grid-template-columns:1fr 1fr}}
.panels{{grid-template-columns:1fr 1fr 1fr}}
.finding{{border:1px solid #999;border-left:6px solid}}
}}
"""
"""All of it."""
