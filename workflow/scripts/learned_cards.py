"""Rule learned_cards: models and their errors -> one table of model cards."""

from _start import start

start(snakemake)

from engine.stage.learned_cards import learned_cards

learned_cards(snakemake.input.models, snakemake.input.errors, snakemake.output.cards)
