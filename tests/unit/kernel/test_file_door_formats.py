"""CSV of the marketing system's real contracts: dates, money and nested cells; every mistake is named."""

from decimal import Decimal
from pathlib import Path

import pytest

from services.contracts.marketing import BillIssued, CustomerChanged
from services.kernel.door import Contracts
from services.kernel.file_door import MOST_PROBLEMS, FileRefused, check_file, events_of_file

CONTRACTS: Contracts = {event.TYPE: event for event in (BillIssued, CustomerChanged)}
HEAD = "account_id,bill_id,period_from,period_to,energy_kwh,amount_yuan,due_on,reissue_of"


def _bills(folder: Path, *lines: str, head: str = HEAD) -> Path:
    file = folder / "bills.csv"
    file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8-sig")
    return file


def _refusal(file: Path, type_: str | None = BillIssued.TYPE) -> list[tuple[str | None, str]]:
    with pytest.raises(FileRefused) as refused:
        check_file(file, contracts=CONTRACTS, type_=type_)
    return [(p.field, p.sentence.en) for p in refused.value.problems]


def test_cells_become_dates_and_decimals_and_empty_cells_are_left_out(tmp_path: Path) -> None:
    file = _bills(tmp_path, "50010001,B-1,2025-11-01,2025-12-01,78123.456,52000.10,2025-12-20,")
    check_file(file, contracts=CONTRACTS, type_=BillIssued.TYPE)
    [bill] = events_of_file(file, contracts=CONTRACTS, type_=BillIssued.TYPE)
    assert isinstance(bill, BillIssued)
    assert (bill.energy_kwh, bill.amount_yuan, bill.reissue_of) == (Decimal("78123.456"), Decimal("52000.10"), None)
    assert bill.late_fee_yuan == 0


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("50010001,B-1,2025-13-01,2025-12-01,1,1,2025-12-20,", "line 2.period_from"),
        ("50010001,B-1,2025-11-01,2025-12-01,1,1.005,2025-12-20,", "line 2.amount_yuan"),
        ("50010001,B-1,2025-11-01,2025-12-01,-1,1,2025-12-20,", "line 2.energy_kwh"),
        (",B-1,2025-11-01,2025-12-01,1,1,2025-12-20,", "line 2.account_id"),
        ("50010001,B-1,2025-11-01", "line 2"),
        ("50010001,B-1,2025-11-01,2025-12-01,1,1,2025-12-20,,surplus", "line 2"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(tmp_path: Path, line: str, field: str) -> None:
    assert [found for found, _ in _refusal(_bills(tmp_path, line))] == [field]


def test_an_unknown_column_and_a_missing_type_say_what_there_is(tmp_path: Path) -> None:
    [(field, words)] = _refusal(_bills(tmp_path, "x", head="account"))
    assert field == "line 1.account" and "account_id" in words
    [(field, words)] = _refusal(_bills(tmp_path, "x", head="account_id"), None)
    assert field == "--type" and BillIssued.TYPE in words


def test_only_the_first_problems_of_a_bad_file_are_told(tmp_path: Path) -> None:
    assert len(_refusal(_bills(tmp_path, *["x,x,x,x,x,x,x,x"] * 100))) == MOST_PROBLEMS


def test_nested_parts_are_json_cells(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    account = (
        '[{""account_id"": ""A-1"", ""service_area_id"": ""U-1"", ""terms"": [{""valid_from"": ""2020-01-01"",'
        ' ""industry_class"": ""C3130"", ""supply_nature"": ""industrial"", ""voltage_kv"": ""10"",'
        ' ""contract_capacity_kva"": ""1000"", ""operating_capacity_kva"": ""1000"", ""tariff_type"": ""two-part""}]}]'
    )
    file.write_text(
        f'customer_id,version,name,key_account,accounts,sites,usage_points\nC-1,3,某企业,true,"{account}",[],[]\n'
    )
    [customer] = events_of_file(file, contracts=CONTRACTS, type_=CustomerChanged.TYPE)
    assert isinstance(customer, CustomerChanged)
    assert (customer.version, customer.key_account, customer.accounts[0].terms[0].voltage_kv) == (3, True, Decimal(10))
