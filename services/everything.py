"""All four services in one process, for laptops: `python -m services.everything [serve|migrate]`. Equal URLs."""

from services.inspection.manifest import SERVICE as INSPECTION
from services.kernel.run import main
from services.notify.manifest import SERVICE as NOTIFY
from services.outage.manifest import SERVICE as OUTAGE
from services.portrait.manifest import SERVICE as PORTRAIT

if __name__ == "__main__":
    main([PORTRAIT, NOTIFY, OUTAGE, INSPECTION])
