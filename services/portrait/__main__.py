"""`python -m services.portrait`: the archive, the readings, the scores."""

from services.kernel.run import main
from services.portrait.manifest import SERVICE

main([SERVICE])
