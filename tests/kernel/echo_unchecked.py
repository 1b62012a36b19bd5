"""The echo service with the application's own scope check taken out: only row-level security is left."""

import sys

from services.kernel.auth.grants import disable_application_check
from services.kernel.run import main
from tests.kernel import echo

if __name__ == "__main__":
    disable_application_check()
    main([echo.SERVICE], sys.argv[1:])
