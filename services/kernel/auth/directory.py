"""The directory's events fill the access grants of every service that does not keep the directory itself."""

from services.contracts.notify import AccessGrant, EngagementsChanged, PostAssigned
from services.kernel.auth.grants import Grant, replace_grants
from services.kernel.manifest import Consumes
from services.kernel.work import UnitOfWork


def grants_of(said: tuple[AccessGrant, ...]) -> list[Grant]:
    return [
        Grant(
            person_id=g.person_id,
            role=g.role,
            scope_kind=g.scope_kind,
            scope_id=g.scope_id,
            valid_from=g.valid_from,
            valid_to=g.valid_to,
            acting_for=g.acting_for,
        )
        for g in said
    ]


async def on_post_assigned(event: PostAssigned, *, work: UnitOfWork) -> None:
    """Who may do what at this post."""
    await replace_grants(work, origin=f"post:{event.post_id}", grants=grants_of(event.grants))


async def on_post_removed(key: str, *, work: UnitOfWork) -> None:
    await replace_grants(work, origin=f"post:{key}", grants=[])


async def on_engagements_changed(event: EngagementsChanged, *, work: UnitOfWork) -> None:
    """What a customer's person may do."""
    await replace_grants(work, origin=f"person:{event.person_id}", grants=grants_of(event.grants))


async def on_person_removed(key: str, *, work: UnitOfWork) -> None:
    await replace_grants(work, origin=f"person:{key}", grants=[])


def directory_consumes() -> tuple[Consumes, ...]:
    """What a service puts into its manifest to know who may do what."""
    return (
        Consumes(event=PostAssigned, handler=on_post_assigned, deletion=on_post_removed),
        Consumes(event=EngagementsChanged, handler=on_engagements_changed, deletion=on_person_removed),
    )
