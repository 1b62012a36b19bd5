import sys

if sys.argv[1:] == ["--role", "edge"]:
    # The outer zone has neither database nor broker, so nothing that needs them is imported.
    from services.notify.edge.server import main as edge

    edge()
else:
    from services.kernel.run import main
    from services.notify.manifest import SERVICE

    main([SERVICE])
