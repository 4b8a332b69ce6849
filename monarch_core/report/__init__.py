"""The report: what many run folders say together, as one page, tables and figures.

It reads `results.json`, `log.jsonl` and `artifacts.npz` and knows no task. The way through it:
`collect` reads folders, `aggregate` groups them by everything but the seed, `control` finds the FFT
group to compare with, `spread` has the statistics; `findings`, `tables`, `lines` and `fields` turn
that into sentences, tables and figures; `block` puts together what was tested on the same data, and
`page` everything. Figures share `style`, numbers share `wording`.
"""
