from services.kernel.run import main
from services.notify.manifest import SERVICE

main([SERVICE])
