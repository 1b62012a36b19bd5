"""The loop, told as it happens. Every figure is counted from outside: database, topics, sandbox."""

from deploy.demo.chapters import archive, curves, customer, faults, hazards, scores
from deploy.demo.stage import Stage


async def tell(stage: Stage) -> None:
    """Raises `NotSeen` where the house did otherwise, `KillMissed` where a planned kill did not happen."""
    if stage.killer.plan:
        # A receipt is pushed three times: with the documented five seconds between, a restart fits in.
        await stage.outside.sandbox_behaviour(push_retry_gap_s=5.0)
    await archive.data_comes_before_the_archive(stage)
    await archive.archive_organisation_and_network_arrive(stage)
    await curves.a_year_of_curves_arrives(stage)
    await scores.the_month_is_scored(stage)
    await faults.feeders_fail_and_return(stage)
    await hazards.hazards_are_found_and_one_is_closed(stage)
    await hazards.a_stuck_measurement_is_suspected(stage)
    await faults.a_feeder_fails_again(stage)
    await customer.a_customer_complains_and_looks(stage)
    await stage.killer.finish()
    await stage.settled()
