"""Section 6: the environment, its defaults, and the refusals to start."""

import json
from pathlib import Path

import pytest

from bank.mock import BankSettings, BankSettingsError


def test_the_defaults_are_the_contracts() -> None:
    settings = BankSettings.from_environment({})

    assert settings.port == 8787
    assert settings.failure_rate == 0.05
    assert (settings.min_latency_ms, settings.max_latency_ms) == (100, 2000)
    assert settings.auth_expiry_hours == 168
    assert settings.write_timeout_s == 15


def test_every_variable_is_read() -> None:
    settings = BankSettings.from_environment(
        {
            "PORT": "9000",
            "FAILURE_RATE": "0.5",
            "MIN_LATENCY_MS": "1",
            "MAX_LATENCY_MS": "2",
            "AUTH_EXPIRY_HOURS": "3",
            "BANK_SEED": "4",
            "BANK_STATE": "memory",
            "BANK_CONTROL_PORT": "9001",
            "SOMETHING_ELSE": "x",
        }
    )

    assert settings == BankSettings(9000, 0.5, 1, 2, 3, 4, "memory", (), 9001)


def test_a_blank_variable_counts_as_unset() -> None:
    assert BankSettings.from_environment({"PORT": "", "BANK_SEED": " "}) == BankSettings()


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"FAILURE_RATE": "1.5"}, "FAILURE_RATE must be between 0 and 1, but it is 1.5."),
        ({"FAILURE_RATE": "-0.1"}, "FAILURE_RATE must be between 0 and 1, but it is -0.1."),
        ({"FAILURE_RATE": "nan"}, "FAILURE_RATE must be between 0 and 1, but it is nan."),
        ({"FAILURE_RATE": "often"}, "FAILURE_RATE must be a number, but it is 'often'."),
        ({"MAX_LATENCY_MS": "99"}, "MAX_LATENCY_MS must not be below MIN_LATENCY_MS, but 99 is below 100."),
        ({"MIN_LATENCY_MS": "-1"}, "MIN_LATENCY_MS must not be negative, but it is -1."),
        ({"MIN_LATENCY_MS": "1.5"}, "MIN_LATENCY_MS must be a whole number, but it is '1.5'."),
        ({"PORT": "70000"}, "PORT must be between 0 and 65535, but it is 70000."),
        ({"AUTH_EXPIRY_HOURS": "-1"}, "AUTH_EXPIRY_HOURS must be between 0 and 876000, but it is -1."),
        ({"BANK_SEED": "x"}, "BANK_SEED must be a whole number, but it is 'x'."),
        ({"BANK_CONTROL_PORT": "8787"}, "BANK_CONTROL_PORT must not be PORT: control stays off the bank's address."),
        ({"BANK_ACCOUNTS": "[{]"}, "BANK_ACCOUNTS cannot be used: it is not JSON."),
        ({"BANK_ACCOUNTS": "[{}]"}, "BANK_ACCOUNTS cannot be used: its entry 1 is wrong: 'card_number' is missing."),
    ],
)
def test_it_refuses_to_start_with_one_clear_sentence(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(BankSettingsError) as refusal:
        BankSettings.from_environment(env)

    assert str(refusal.value) == sentence
    assert isinstance(refusal.value, ValueError)


def test_latencies_may_be_equal_and_rates_at_their_ends() -> None:
    settings = BankSettings.from_environment({"FAILURE_RATE": "1", "MIN_LATENCY_MS": "0", "MAX_LATENCY_MS": "0"})

    assert settings.failure_rate == 1


def test_accounts_are_read_inline_and_from_a_file(tmp_path: Path) -> None:
    card = {"card_number": "4000000000000002", "cvv": "1234", "expiry_month": 1, "expiry_year": 2031, "balance": 7}
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps([card]))

    inline = BankSettings.from_environment({"BANK_ACCOUNTS": json.dumps(card)})
    filed = BankSettings.from_environment({"BANK_ACCOUNTS": str(file)})

    assert inline.accounts == filed.accounts
    assert (inline.accounts[0].balance, inline.accounts[0].expiry_year) == (7, 2031)


def test_settings_show_no_card_data() -> None:
    settings = BankSettings.from_environment({"BANK_ACCOUNTS": '{"prefix":"400000","count":2,"cvv":"987","balance":1}'})

    shown = repr(settings) + repr(settings.accounts)
    assert "400000" not in shown
    assert "987" not in shown
