"""The columns of the three tables that are kept: shards, manifest, quarantine."""

from __future__ import annotations

import pyarrow as pa

KEPT, LEFT_OUT, QUARANTINED = "kept", "left_out", "quarantined"
STATUSES = (KEPT, LEFT_OUT, QUARANTINED)

DUPLICATE, CONFLICT, STRADDLES, LEAKAGE = "duplicate", "label_conflict", "straddles_splits", "leakage"
LEFT_OUT_REASONS = (DUPLICATE, CONFLICT, STRADDLES, LEAKAGE)

SHARD = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("turn", pa.int8(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
    ]
)
"""`height` and `width` are those of the picture in the shard after its `turn` (EXIF orientation, 1 to 8)."""

FACTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("member", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("split", pa.int8(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("format", pa.string()),
        pa.field("named_as", pa.string()),
        pa.field("mode", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("turn", pa.int8()),
        pa.field("converted", pa.bool_(), nullable=False),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.binary(32)),
        pa.field("phash", pa.uint64()),
        pa.field("dhash", pa.uint64()),
        pa.field("brightness", pa.float32()),
        pa.field("row", pa.int32()),
    ]
)
"""What the packing of one shard finds out about each of its pictures; `split` is an index, -1 of a quarantined one."""

MANIFEST = pa.schema(
    [
        ("id", pa.string()),
        ("member", pa.string()),
        ("label", pa.int32()),
        ("class_name", pa.string()),
        ("split", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("format", pa.string()),
        ("named_as", pa.string()),
        ("mode", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("turn", pa.int8()),
        ("converted", pa.bool_()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("phash", pa.string()),
        ("dhash", pa.string()),
        ("brightness", pa.float32()),
        ("duplicate_of", pa.string()),
        ("similarity", pa.string()),
        ("conflict_with", pa.string()),
        ("leaks", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int32()),
    ]
)
"""One row for each picture of the source, in its order.

`width`, `height`, `bytes` and `sha256` are of the picture as the source has it. `split` is null unless it is kept;
`shard` and `row` are null if it is quarantined. `duplicate_of`, `conflict_with` and `leaks` are ids of other pictures.
"""

QUARANTINE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("member", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("image", pa.binary()),
    ]
)
"""`image`: the first bytes of the file, null where nothing could be read or the table had grown too large."""
