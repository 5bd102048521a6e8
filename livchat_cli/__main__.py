"""python -m livchat_cli"""

from livchat_cli.main import main

main()
