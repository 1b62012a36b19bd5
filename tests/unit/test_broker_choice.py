"""Which broker a machine gets, from its environment and what is installed."""

import pytest

from deploy.local.broker import Abilities, NoBroker, choose

EVERYTHING = Abilities(java=17, maven=True, kafka_jars=False, tansu=True)
NO_JAVA = Abilities(java=None, maven=True, kafka_jars=False, tansu=True)
NOTHING = Abilities(java=None, maven=False, kafka_jars=False, tansu=False)


def test_an_address_in_the_environment_wins_over_everything_installed() -> None:
    choice = choose(environment={"KAFKA_BOOTSTRAP_SERVERS": "k1:9092,k2:9092"}, abilities=EVERYTHING)
    assert (choice.kind, choice.bootstrap_servers) == ("external", "k1:9092,k2:9092")


def test_an_empty_address_counts_as_none() -> None:
    assert choose(environment={"KAFKA_BOOTSTRAP_SERVERS": " "}, abilities=EVERYTHING).kind == "kafka"


def test_apache_kafka_is_taken_where_it_can_run() -> None:
    choice = choose(environment={}, abilities=EVERYTHING)
    assert (choice.kind, choice.forced) == ("kafka", False)


def test_jars_fetched_before_make_maven_unnecessary() -> None:
    offline = Abilities(java=21, maven=False, kafka_jars=True, tansu=True)
    assert choose(environment={}, abilities=offline).kind == "kafka"


@pytest.mark.parametrize(
    ("abilities", "why"),
    [
        (NO_JAVA, "no java"),
        (Abilities(java=11, maven=True, kafka_jars=True, tansu=True), "java is 11"),
        (Abilities(java=17, maven=False, kafka_jars=False, tansu=True), "no mvn"),
    ],
)
def test_tansu_stands_in_and_says_why_and_that_nothing_survives(abilities: Abilities, why: str) -> None:
    choice = choose(environment={}, abilities=abilities)
    assert choice.kind == "tansu"
    assert why in choice.reason
    assert "nothing survives a restart" in choice.reason


def test_tansu_can_be_asked_for_where_kafka_would_run() -> None:
    choice = choose(environment={"BROKER": "Tansu"}, abilities=EVERYTHING)
    assert (choice.kind, choice.forced) == ("tansu", True)


@pytest.mark.parametrize(
    ("environment", "abilities", "remedy"),
    [
        ({"BROKER": "kafka"}, NO_JAVA, "BROKER=tansu"),
        ({"BROKER": "tansu"}, NOTHING, "pip install"),
        ({"BROKER": "rabbit"}, EVERYTHING, "set it to kafka or tansu"),
        ({}, NOTHING, "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_with_the_remedy(
    environment: dict[str, str], abilities: Abilities, remedy: str
) -> None:
    with pytest.raises(NoBroker, match=remedy):
        choose(environment=environment, abilities=abilities)
