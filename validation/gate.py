"""The gate: a table → accepted rows, quarantined rows with reasons, a result.

Great Expectations runs the table's suite over the rows, cast to their canonical types, and its
list of failing rows decides. A batch is looked at chunk by chunk, twice: first for what its rows
are to each other, then to judge each. So a batch of any length can be checked in the memory of
one chunk (`items_in_parts`), and what becomes of a row does not depend on the chunks; only a
watermark is told by the photos of the same chunk.
"""

from validation.chunks import CHUNK as CHUNK
from validation.chunks import slices as slices
from validation.event_gate import check_events as check_events
from validation.event_gate import events_in_parts as events_in_parts
from validation.listing_gate import check_items as check_items
from validation.listing_gate import items_in_parts as items_in_parts
from validation.result import GateResult as GateResult
from validation.vector_gate import check_embeddings as check_embeddings
from validation.vector_gate import check_pairs as check_pairs
