"""How the page looks. Rule of this file: nothing from elsewhere, no picture, no font that is not there.

Text has at least 4.5 : 1 against its ground in both schemes (tests/unit/incidents/test_style.py computes it);
wherever a colour tells something, a word or a pattern tells it too.
"""

from __future__ import annotations

LIGHT = {
    "paper": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#1e1d1b",
    "soft": "#635f57",
    "hair": "#e3dfd6",
    "grid": "#ece8e0",
    "mem": "#176b74",
    "swap": "#6b4fa0",
    "some": "#8f6100",
    "full": "#b3261e",
    "kill": "#b3261e",
    "warnband": "#f6ead0",
    "termband": "#f7dcc8",
    "killband": "#f5cfcb",
    "anon": "#176b74",
    "swapped": "#6b4fa0",
    "shmem": "#b0792a",
    "file": "#7d9aa0",
    "tables": "#a9a49a",
    "trough": "#edeae3",
}
DARK = {
    "paper": "#171614",
    "card": "#1f1e1b",
    "ink": "#ebe8e1",
    "soft": "#a8a297",
    "hair": "#35322d",
    "grid": "#2b2925",
    "mem": "#6cc4c6",
    "swap": "#b9a2e6",
    "some": "#dfb04e",
    "full": "#ff8f82",
    "kill": "#ff8f82",
    "warnband": "#322a17",
    "termband": "#3b2818",
    "killband": "#43211f",
    "anon": "#4fa9ac",
    "swapped": "#9a82cc",
    "shmem": "#d19a45",
    "file": "#6f8a90",
    "tables": "#77726a",
    "trough": "#2c2a26",
}
"""The names are those of the custom properties."""


def _scheme(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
 font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans","DejaVu Sans",
 sans-serif;
 font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main,.foot{max-width:57rem;margin:0 auto;padding:0 1.5rem}
header{padding:4.5rem 0 2.5rem}
h1,h2,.lede{font-family:Charter,"Bitstream Charter","Iowan Old Style","Palatino Linotype",Georgia,
 "Liberation Serif","DejaVu Serif",serif;font-weight:400;text-wrap:balance}
h1{font-size:clamp(2rem,1.35rem + 2.9vw,3.4rem);line-height:1.12;letter-spacing:-.015em;margin:.35em 0 .5em}
h2{font-size:1.75rem;line-height:1.2;letter-spacing:-.01em;margin:0 0 1.4rem}
h3{font-size:1rem;font-weight:600;margin:2rem 0 .6rem}
.lede{font-size:clamp(1.15rem,1.05rem + .45vw,1.35rem);line-height:1.5;max-width:42rem;margin:0;
 text-wrap:pretty}
.eyebrow{display:flex;flex-wrap:wrap;gap:.35rem 1rem;align-items:center;margin:0;color:var(--soft);
 font-size:.875rem}
.badge{display:inline-block;border:1px solid currentColor;border-radius:1em;padding:0 .6em;font-size:.75rem;
 line-height:1.6;font-weight:500;color:var(--kill);white-space:nowrap}
section{padding:2.75rem 0;border-top:1px solid var(--hair)}
p{margin:.6rem 0;max-width:42rem}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.2em}
:focus-visible{outline:2px solid var(--mem);outline-offset:3px;border-radius:2px}
nav{margin-top:1.75rem;display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;font-size:.9375rem}
.hint,.none{color:var(--soft);font-size:.875rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1.5rem 2rem;margin:0;
 padding:0 0 2.75rem}
.figures div{border-top:2px solid var(--ink);padding-top:.7rem}
.figures dt{font-size:.875rem;color:var(--soft)}
.figures dd{margin:0}
.figures .big{display:block;font-size:1.75rem;line-height:1.25;letter-spacing:-.015em;white-space:nowrap}
.figures .small{display:block;font-size:.8125rem;color:var(--soft)}
.facts{display:grid;grid-template-columns:minmax(7rem,12rem) minmax(0,1fr);margin:0;column-gap:1.5rem}
.facts dt{color:var(--soft);padding:.42rem 0;border-top:1px solid var(--hair)}
.facts dd{margin:0;padding:.42rem 0;border-top:1px solid var(--hair)}
.facts dt:first-of-type,.facts dd:first-of-type{border-top:0}
svg{display:block;overflow:visible}
.timeline h3:first-child{margin-top:0}
.chart{position:relative;overflow-x:clip;margin:0 0 1rem;touch-action:pan-y}
.panel{margin:0 0 1.1rem}
.panel figcaption{display:flex;flex-wrap:wrap;gap:.1rem 1rem;align-items:baseline;padding-left:4rem;
 font-size:.875rem;margin-bottom:.15rem}
.ptitle{font-weight:600}
.pnote{color:var(--soft)}
.leg{display:inline-flex;align-items:baseline;gap:.4em;color:var(--soft);margin-right:.9em}
.key{display:inline-block;width:1.3em;border-top:2px solid;transform:translateY(-.3em)}
.key.some{border-top-style:dashed;color:var(--some)}
.key.full{color:var(--full)}
.prow{display:grid;grid-template-columns:3.5rem minmax(0,1fr);gap:.5rem}
.rlabel{font-size:.75rem;color:var(--soft);text-align:right;line-height:18px}
.scale,.plot{width:100%}
.plot svg{overflow:hidden}
.plot text,.scale text{font-size:12px;fill:var(--soft)}
.scale .tick{text-anchor:end}
.grid{stroke:var(--grid);stroke-width:1}
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round;
 vector-effect:non-scaling-stroke}
.line.mem{stroke:var(--mem)}.line.swap{stroke:var(--swap)}
.line.some{stroke:var(--some);stroke-dasharray:5 4}.line.full{stroke:var(--full)}
.area{opacity:.13;stroke:none}.area.mem{fill:var(--mem)}.area.swap{fill:var(--swap)}
.dot.mem{fill:var(--mem)}.dot.swap{fill:var(--swap)}.dot.some{fill:var(--some)}.dot.full{fill:var(--full)}
.band.warn,.step.warn{fill:var(--warnband)}
.band.terminate,.step.terminate{fill:var(--termband)}
.band.kill,.step.kill{fill:var(--killband)}
.step.calm{fill:var(--trough)}
.plot .slabel{fill:var(--ink);font-size:11px}
.gap{fill:url(#hatch)}
.bound{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 3;opacity:.75}
.plot .blabel{fill:var(--ink);font-size:11px;paint-order:stroke;stroke:var(--paper);
 stroke-width:3px;stroke-linejoin:round}
.mark{stroke:var(--ink);stroke-width:1}
.mark.kill{stroke:var(--kill);stroke-width:1.5}
.mark.end{stroke-dasharray:4 2}.mark.other{stroke:var(--soft);stroke-dasharray:1 3}
.plot .mlabel{fill:var(--ink)}.plot .mlabel.kill{fill:var(--kill);font-weight:600}
.plot .mlabel.other{fill:var(--soft)}
.cursor{stroke:var(--ink);stroke-width:1;opacity:0}
.readout{position:absolute;z-index:1;top:0;margin:0;padding:.5rem .7rem;background:var(--card);
 font-size:.8125rem;
 line-height:1.5;border:1px solid var(--hair);border-radius:6px;box-shadow:0 4px 18px #0002;
 pointer-events:none;
 white-space:pre;max-width:none}
.ranking,.events,.advice{list-style:none;margin:0;padding:0}
.ranking>li{padding:1rem 0;border-top:1px solid var(--hair)}
.rhead{display:flex;flex-wrap:wrap;gap:.2rem .8rem;align-items:baseline}
.rhead .points{margin-left:auto;color:var(--soft)}
.bar{width:100%;margin:.25rem 0}
.rbelow{font-size:.875rem;color:var(--soft);margin:.15rem 0;max-width:none}
.said{margin:.3rem 0 0;padding:0;list-style:none;font-size:.9375rem}
.legend{max-width:none;font-size:.875rem;margin:0 0 .8rem}
.term.anon{fill:var(--anon)}.term.swapped{fill:var(--swapped)}.term.shmem{fill:var(--shmem)}
.term.file{fill:var(--file)}.term.tables{fill:var(--tables)}.term.avail{fill:var(--mem)}
.term.time{fill:var(--tables)}.term.time.whole{fill:var(--mem)}
.term.added{fill:url(#hatch);stroke:var(--ink);stroke-width:1}
.term.taken{fill:url(#strike)}
.ranked{stroke:var(--ink);stroke-width:2}
.trough{fill:var(--trough)}
details{margin:.5rem 0}
summary{cursor:pointer;font-size:.875rem;color:var(--soft);width:max-content;max-width:100%}
table{border-collapse:collapse;font-size:.9375rem}
th,td{padding:.35rem 1.2rem .35rem 0;text-align:right;border-bottom:1px solid var(--hair);vertical-align:top;
 white-space:nowrap}
th{font-weight:500;color:var(--soft)}
th:first-child,.l{text-align:left}
.terms{max-width:34rem}.terms th{white-space:normal}
tr.sum th,tr.sum td{border-bottom:0;font-weight:600;color:var(--ink)}
.wide{overflow-x:auto;max-width:100%}
.tall{max-height:26rem;overflow-y:auto}
.tall thead th{position:sticky;top:0;background:var(--paper)}
.measure{display:grid;grid-template-columns:minmax(6rem,16rem) minmax(0,1fr) 5.5rem;gap:1rem;
 align-items:center;
 padding:.2rem 0;font-size:.9375rem}
.measure svg{width:100%}
.measure b{font-weight:600;text-align:right}
.measures{margin:0 0 1.2rem}
.events li{display:grid;grid-template-columns:5rem minmax(0,1fr);gap:1rem;padding:.5rem 0;
 border-top:1px solid var(--hair)}
.events p{margin:0;max-width:none}
.events .when{color:var(--soft);text-align:right}
.events .own p{font-weight:600}
pre{font:.8125rem/1.55 ui-monospace,"Cascadia Mono","SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
 margin:0;overflow-x:auto;max-width:100%}
details pre{padding:.6rem 0}
.advice{counter-reset:a}
.advice>li{counter-increment:a;padding:0 0 2.2rem 3.25rem;position:relative}
.advice>li::before{content:counter(a);position:absolute;left:0;top:-.2rem;font:2rem/1.1 Charter,
 "Bitstream Charter",Georgia,"Liberation Serif","DejaVu Serif",serif;color:var(--soft)}
.advice h3{margin:0;font-size:1.0625rem}
.advice figure{margin:.9rem 0 0;background:var(--card);border:1px solid var(--hair);border-radius:8px;
 max-width:42rem}
.advice figcaption{padding:.5rem .9rem;font-size:.8125rem;color:var(--soft);
 border-bottom:1px solid var(--hair)}
.advice pre{padding:.75rem .9rem;white-space:pre-wrap}
.foot{padding-bottom:4rem;font-size:.875rem;color:var(--soft)}
.foot p{max-width:none;margin:0;padding-top:2rem;
 border-top:1px solid var(--hair)}
.hidden{position:absolute;width:0;height:0}
@media (max-width:40rem){
main,.foot{padding-left:1.1rem;padding-right:1.1rem}
header{padding-top:2.5rem}
section{padding:2.2rem 0}
.figures{grid-template-columns:1fr 1fr;gap:1.25rem}
.figures .big{font-size:1.45rem}
.facts{grid-template-columns:minmax(0,1fr)}
.facts dt{padding-bottom:0;font-size:.8125rem}.facts dd{border-top:0;padding-top:0}
.prow{grid-template-columns:2.9rem minmax(0,1fr)}
.panel figcaption{padding-left:3.4rem}
.plot text,.scale text{font-size:11px}
.events li{grid-template-columns:minmax(0,1fr);gap:.1rem}.events .when{text-align:left}
.advice>li{padding-left:0}.advice>li::before{position:static;display:block}
.measure{grid-template-columns:minmax(0,1fr) 5.5rem}.measure svg{grid-row:2;grid-column:1/-1}
.measure b{grid-row:1;grid-column:2}
}
@media print{
body{background:#fff;font-size:11pt}
header{padding-top:0}nav,.readout,.cursor{display:none}
section,.figures{break-inside:auto}
.panel,.ranking>li,.advice>li,.events li,.figures{break-inside:avoid}
h2,h3{break-after:avoid}
.wide,.tall,pre{overflow:visible;max-height:none;white-space:pre-wrap}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
"""

STYLE = (
    f":root{{color-scheme:light dark;{_scheme(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_scheme(DARK)}}}}}{_RULES}"
)
"""The whole sheet. Printed it is light."""
