"""The page's style sheet: one column on a phone, two where there is room, light and dark."""

STYLESHEET = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfc; --panel: #f4f5f6; --ink: #1c2126; --muted: #59636e; --grid: #dde2e7; --rule: #ccd3da;
  --link: #0969a8;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --series-1: #0969a8; --series-2: #c2481a; --series-3: #1a7f52; --series-4: #8345ad; --series-5: #97700a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --panel: #1d2329; --ink: #e6e9ec; --muted: #9aa5b0; --grid: #2c343c; --rule: #3b454f;
    --link: #6cb6ee;
    --series-1: #6cb6ee; --series-2: #f08a5d; --series-3: #5fc795; --series-4: #c497ea; --series-5: #d8b04a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--sans);
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 3rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; }
p, ul { max-width: 44rem; }
li { margin: .35rem 0; }
a { color: var(--link); }
.quiet, figcaption, .beside { color: var(--muted); }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.headline { margin: 1.5rem 0; }
.card { background: var(--panel); border-radius: .5rem; padding: 1rem 1.1rem; }
.card h2 { font-size: .95rem; margin: 0; padding: 0; border: 0; color: var(--muted); font-weight: 600; }
.figure { font-size: 2rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.beside { font-size: .92rem; }
.card dl { display: grid; grid-template-columns: 1fr auto; gap: .2rem .8rem; margin: .7rem 0 0; }
.card dl { font-size: .92rem; }
.card dt { color: var(--muted); }
.card dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
.plots { gap: 1.5rem 2rem; align-items: start; }
.plots > :only-child { max-width: 32rem; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: var(--sans) !important; }
figcaption { font-size: .88rem; line-height: 1.45; margin-top: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--grid); }
th, td { text-align: left; vertical-align: baseline; }
tr > :last-child { padding-right: 0; }
thead th { color: var(--muted); font-weight: 600; border-bottom-color: var(--rule); }
tbody th { font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
tbody th { white-space: nowrap; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.chain, .chain ul { list-style: none; padding-left: 0; max-width: none; font-size: .9rem; }
.chain ul { padding-left: 1rem; border-left: 1px solid var(--rule); }
.chain .what { color: var(--muted); }
.chain .fact { color: var(--muted); overflow-wrap: anywhere; display: block; padding-left: 1rem; }
code, .digest { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .85em; }
code, .digest { overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .25rem 0; }
.scroll + details, .plots + .scroll { margin-top: 1.2rem; }
details td:nth-child(2) { white-space: nowrap; }
td:last-child:not(.number) { min-width: 13rem; }
.notice { border-left: 3px solid var(--series-2); padding: .2rem 0 .2rem .9rem; }
@media print { body { max-width: none; } details > * { display: block; } }
"""
