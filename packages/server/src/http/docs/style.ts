/** Looks of the page: one column of calls beside one of navigation, light or dark as the reader has it. */
export const DOCS_STYLE = `
:root {
  --page: #fcfcfd; --panel: #ffffff; --sunken: #f3f4f7; --line: #e3e5eb; --text: #1c2230; --soft: #5c6577;
  --link: #3451b2; --accent: #4f46e5; --get: #0f7b53; --post: #3451b2; --put: #99600a; --delete: #c22f3d; --good: #0f7b53;
  --code: #f3f4f7; --example: #161b26; --example-text: #d7deeb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f131b; --panel: #151a24; --sunken: #1a202c; --line: #28303f; --text: #e3e7ef; --soft: #98a2b5;
    --link: #93a8ff; --accent: #8b86ff; --get: #4fd09a; --post: #93a8ff; --put: #e7b054; --delete: #ff8a92; --good: #4fd09a;
    --code: #1e2532; --example: #0a0d13; --example-text: #d7deeb;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1.5rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; display: grid; grid-template-columns: 22.5rem minmax(0, 1fr); background: var(--page); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
code, pre, .path, .method { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--panel); padding: .5rem 1rem; z-index: 2; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 3rem 1.5rem;
  background: var(--panel); border-right: 1px solid var(--line); scrollbar-width: thin;
}
.brand { margin: 0 0 1rem; font-size: 1.15rem; font-weight: 700; letter-spacing: -.01em; }
.brand a { color: var(--text); }
.brand span { color: var(--soft); font-size: .8rem; font-weight: 400; }
.filter { margin: 0 0 1rem; }
.filter input {
  width: 100%; padding: .45rem .7rem; border: 1px solid var(--line); border-radius: 8px; background: var(--sunken);
  color: inherit; font: inherit; font-size: .88rem;
}
nav h2 { margin: 1.25rem 0 .3rem; font-size: .72rem; letter-spacing: .07em; text-transform: uppercase; color: var(--soft); }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a {
  display: flex; gap: .55rem; align-items: baseline; padding: .18rem .4rem; margin-left: -.4rem; border-radius: 6px;
  color: var(--text); font-size: .8rem;
}
nav li a:hover { background: var(--sunken); text-decoration: none; }
nav .path { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: .74rem; }
nav .method { flex: none; width: 3.2rem; font-size: .62rem; padding: 0; background: none; text-align: left; }
.chapters a { font-size: .88rem; }
main { padding: 3rem clamp(1.25rem, 4vw, 4rem) 6rem; max-width: 84rem; }
h1 { margin: 0 0 .6rem; font-size: 2.2rem; line-height: 1.15; letter-spacing: -.025em; }
.lead { max-width: 46rem; margin: 0 0 1.2rem; font-size: 1.08rem; color: var(--soft); }
.button { display: inline-block; padding: .4rem .9rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); font-size: .88rem; }
.button:hover { border-color: var(--accent); text-decoration: none; }
section > h2 { margin: 3.5rem 0 1rem; padding-bottom: .5rem; border-bottom: 1px solid var(--line); font-size: 1.45rem; letter-spacing: -.015em; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.card { padding: 1rem 1.2rem; border: 1px solid var(--line); border-radius: 12px; background: var(--panel); }
.card h3 { margin: 0 0 .3rem; font-size: .98rem; }
.card p { margin: 0; color: var(--soft); font-size: .9rem; }
.call, .object { margin: 0 0 1.25rem; padding: 1.25rem 1.4rem; border: 1px solid var(--line); border-radius: 12px; background: var(--panel); }
.call:target, .object:target { border-color: var(--accent); }
.call h3, .object h3 { margin: 0; font-size: 1rem; font-weight: 600; overflow-wrap: anywhere; }
.anchor { color: var(--text); }
.call .anchor { display: flex; gap: .8rem; align-items: center; }
.anchor:hover { text-decoration: none; color: var(--accent); }
.path i { font-style: normal; color: var(--accent); }
.method { flex: none; padding: .16rem .5rem; border-radius: 6px; font-size: .7rem; font-weight: 700; letter-spacing: .03em; background: var(--sunken); }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .delete { color: var(--delete); }
.summary { margin: .5rem 0 1rem; }
.right { color: var(--soft); }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 2rem; }
h4 { margin: 1.1rem 0 .35rem; font-size: .72rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
.columns > div > h4:first-child { margin-top: 0; }
h4 a { text-transform: none; letter-spacing: 0; font-size: .82rem; }
table { width: 100%; border-collapse: collapse; font-size: .86rem; }
th, td { padding: .38rem .8rem .38rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; }
th { width: 32%; font-weight: 400; }
.type { width: 26%; color: var(--soft); }
.errors th { width: 5rem; } .errors td:nth-child(2) { width: 18rem; }
.answers th { width: 34%; }
.required { color: var(--delete); margin-left: .15rem; }
.good { color: var(--good); }
.depth-1 th { padding-left: 1.2rem; } .depth-2 th { padding-left: 2.4rem; } .depth-3 th { padding-left: 3.6rem; }
code { padding: .08em .32em; border-radius: 5px; background: var(--code); font-size: .88em; }
th code { padding: 0; background: none; font-size: .86rem; }
pre { margin: 0 0 1rem; padding: .9rem 1.1rem; border-radius: 10px; background: var(--example); color: var(--example-text); overflow-x: auto; font-size: .8rem; line-height: 1.6; }
pre code { padding: 0; background: none; font-size: inherit; }
.note { margin: .3rem 0 0; color: var(--soft); font-size: .88rem; }
.object h3 { margin-bottom: .6rem; }
@media (max-width: 68rem) { .columns { grid-template-columns: minmax(0, 1fr); gap: 1rem; } }
@media (max-width: 52rem) {
  body { display: block; }
  nav { position: static; height: auto; max-height: 22rem; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding-top: 2rem; }
}
@media print { nav { display: none; } body { display: block; } .call, .object { break-inside: avoid; } }
`;
