"""`aimarket collusion`: do learning algorithms agree on prices?"""


def main(arguments: list[str]) -> None:
    from rich.console import Console

    from aimarket import algorithmic_collusion as collusion
    from aimarket.report.collusion import collusion_table, settings_table

    if {"-h", "--help"} & set(arguments):
        print("usage: aimarket collusion [key=value ...]\n")
        Console().print(settings_table(collusion.described()))
        return
    chosen = collusion.environment(arguments)
    with Console(stderr=True).status(f"collusion: {chosen.sessions:,} sessions"):
        outcome = collusion.simulate_sessions(chosen)
    Console().print(collusion_table(outcome))
