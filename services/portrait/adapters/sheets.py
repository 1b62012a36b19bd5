"""Opens CSV, XLSX and Parquet files as rows of cells, in bounded memory."""

import codecs
import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from services.portrait.adapters.readings import Hints, Unrecognised
from services.portrait.adapters.tabular import Row

Format = Literal["csv", "xlsx", "parquet", "espi"]
MOST_UNPACKED_BYTES = 800_000_000
_MOST_CELLS_OF_A_ROW = 2_000
_ENCODINGS = ("utf-8-sig", "gb18030")
_PIECE = 1 << 20


def format_of(path: Path) -> Format:
    """By the first bytes, not by the name. Raises Unrecognised for an empty file."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head.strip():
        raise Unrecognised(zh="文件为空。", en="The file is empty.", field="file")
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    return "espi" if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<") else "csv"


def rows_of(path: Path, *, file_format: Format, hints: Hints) -> Iterator[Row]:
    """Raises Unrecognised, also while rows are read."""
    if file_format == "csv":
        return _csv(path, hints)
    return _xlsx(path) if file_format == "xlsx" else _parquet(path)


def _csv(path: Path, hints: Hints) -> Iterator[Row]:
    encoding = hints.encoding or _encoding_of(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            for cells in csv.reader(file, delimiter=delimiter):
                if len(cells) > _MOST_CELLS_OF_A_ROW:
                    raise Unrecognised(zh="一行的列数过多。", en="A row has too many cells.", field="file")
                yield cells
    except (UnicodeDecodeError, LookupError):
        raise _ask_encoding() from None
    except csv.Error as error:
        raise Unrecognised(
            zh=f"CSV 格式有误：{error}", en=f"The CSV is malformed: {error}", field="file"
        ) from error  # fmt: skip


def _encoding_of(path: Path) -> str:
    """UTF-8 if the whole file is valid UTF-8, else GB 18030 (which holds GBK and GB 2312) if it is valid in that."""
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise _ask_encoding()


def _ask_encoding() -> Unrecognised:
    return Unrecognised(
        zh="文件编码无法识别，请说明编码（utf-8、gb18030 或 utf-16）。",
        en="The encoding is not recognised: name utf-8, gb18030 or utf-16.",
        field="encoding",
    )


def _delimiter(first_line: str) -> str:
    return max((",", ";", "\t"), key=first_line.count)


def _xlsx(path: Path) -> Iterator[Row]:
    # Here, as pyarrow below, since only an import of such a file needs it.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
        if unpacked > MOST_UNPACKED_BYTES:
            raise Unrecognised(zh="解压后过大，请拆分。", en="Too large when unpacked; split it.", field="file")
        book = load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise Unrecognised(zh="不是可读的 XLSX 文件。", en="Not a readable XLSX file.", field="file") from error
    try:
        sheets = [s for s in book.worksheets if s.sheet_state == "visible"]
        filled = [s for s in sheets if any(any(c is not None for c in row) for row in s.iter_rows(values_only=True))]
        if len(filled) != 1:
            raise Unrecognised(
                zh=f"文件中有 {len(filled)} 个含数据的工作表，请只保留一个。",
                en=f"The file has {len(filled)} sheets with data; keep one.",
                field="file",
            )
        yield from filled[0].iter_rows(values_only=True, max_col=_MOST_CELLS_OF_A_ROW)
    finally:
        book.close()


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise Unrecognised(zh="不是可读的 Parquet 文件。", en="Not a readable Parquet file.", field="file") from error
    with file:
        sizes = [file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)]
        if sum(sizes) > MOST_UNPACKED_BYTES:
            raise Unrecognised(zh="解压后过大，请拆分。", en="Too large when unpacked; split it.", field="file")
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=8_192):
            yield from zip(*[column.to_pylist() for column in batch.columns], strict=True)
