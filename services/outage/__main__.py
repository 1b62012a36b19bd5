"""`python -m services.outage [serve|migrate|dead-letters|rebuild]`."""

from services.kernel.run import main
from services.outage.manifest import SERVICE

if __name__ == "__main__":
    main([SERVICE])
