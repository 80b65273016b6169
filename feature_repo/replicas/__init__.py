"""State folders over one online store tell each other of the listings that change.

    ledger.py   what this folder told and heard (one SQLite file beside the catalogue)
    rows.py     the rows of the view `listing_changes`, read and pushed through Feast
    telling.py  this folder's own changes go online
    hearing.py  what others told goes into this folder's catalogue and feature tables
    exchange.py one look: tell, then hear

ADR 27 says why it is done so.
"""
