"""The one-page brief for whoever visits a customer, as PDF. It names no person and no phone number."""

import io
from collections.abc import Sequence
from xml.sax.saxutils import escape

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.shapes import Drawing
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Frame, KeepInFrame, PageTemplate, Paragraph, Spacer, Table, TableStyle
from reportlab.platypus.doctemplate import BaseDocTemplate

from services.portrait.documents.brief import Section, VisitBrief

FONT = "STSong-Light"
"""One of the Chinese fonts that PDF readers bring themselves, so that none has to be embedded."""
_MARGIN = 15 * mm
_INK, _LINE, _BAR = colors.HexColor("#1f2d3a"), colors.HexColor("#c8d0d8"), colors.HexColor("#3b78a8")


def visit_brief_pdf(brief: VisitBrief) -> bytes:
    """Exactly one A4 page: what does not fit is set smaller, never cut."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    width, height = A4[0] - 2 * _MARGIN, A4[1] - 2 * _MARGIN
    target = io.BytesIO()
    document = BaseDocTemplate(target, pagesize=A4, title=f"走访简报 {brief.customer_id}", invariant=True)
    frame = Frame(_MARGIN, _MARGIN, width, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates([PageTemplate(frames=[frame])])
    document.build([KeepInFrame(width, height, _story(brief, width), mode="shrink")])
    return target.getvalue()


def _story(brief: VisitBrief, width: float) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph(escape(brief.name), _style(16)),
        Paragraph(f"{escape(brief.customer_id)} | 走访简报 Visit brief | {brief.as_of.isoformat()}", _style(9)),
        Spacer(1, 3 * mm),
        _facts(brief.facts, width),
        Paragraph("近十二个月用电量（万千瓦时） Energy of twelve months (10 MWh)", _style(11, above=8)),
        _months(brief.months, width),
    ]
    for section in brief.sections:
        story.append(Paragraph(escape(section.title), _style(11, above=8)))
        story.append(_rows(section, width))
    return story


def _style(size: int, *, above: int = 0) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}-{above}", fontName=FONT, fontSize=size, leading=size * 1.35, textColor=_INK, spaceBefore=above,
        wordWrap="CJK",
    )  # fmt: skip


def _facts(facts: Sequence[tuple[str, str]], width: float) -> Table:
    """Two facts a line."""
    cells = [
        Paragraph(f'<font color="#5a6b7b">{escape(name)}</font>  {escape(value)}', _style(9)) for name, value in facts
    ]
    cells += [Paragraph("", _style(9))] * (len(cells) % 2)
    return Table(list(zip(cells[::2], cells[1::2], strict=True)), colWidths=[width / 2] * 2, style=_grid())


def _rows(section: Section, width: float) -> Flowable:
    if not section.rows:
        return Paragraph(section.empty, _style(9))
    columns = len(section.rows[0])
    cells = [[Paragraph(escape(cell), _style(9)) for cell in row] for row in section.rows]
    first = width * 0.22
    return Table(cells, colWidths=[first, *[(width - first) / max(columns - 1, 1)] * (columns - 1)], style=_grid())


def _grid() -> TableStyle:
    return TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ]
    )


def _months(months: Sequence[tuple[str, float | None]], width: float) -> Flowable:
    if not any(kwh for _, kwh in months):
        return Paragraph("没有可用的电量数据 there are no interval data", _style(9))
    drawing = Drawing(width, 34 * mm)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 24, 14, width - 30, 26 * mm
    chart.data = [[(kwh or 0) / 10_000 for _, kwh in months]]
    chart.categoryAxis.categoryNames = [month[2:] for month, _ in months]
    chart.categoryAxis.labels.fontSize = chart.valueAxis.labels.fontSize = 7
    chart.valueAxis.valueMin = 0
    chart.valueAxis.gridStrokeColor, chart.valueAxis.visibleGrid = _LINE, True
    chart.bars[0].fillColor, chart.bars[0].strokeColor = _BAR, None
    drawing.add(chart)
    return drawing
