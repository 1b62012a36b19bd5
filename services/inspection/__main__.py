from services.inspection.manifest import SERVICE
from services.kernel.run import main

main([SERVICE])
