"""Tryton, an ERP system, as an outside system: ``python -m world.tryton.service --dir DIR``.

It is GPL: its programs run as processes of their own, and nothing of it is imported here. The
database has the modules `party` and `sale_opportunity` (with what they need), and is made once
(about 40 s); every later start takes a copy. REST: ``http://HOST:PORT/erp/rest/model/...``,
with ``Authorization: bearer KEY``.
"""
