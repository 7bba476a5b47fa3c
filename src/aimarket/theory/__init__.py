"""The independent oracle: known answers from theory, computed apart from the model.

Only numpy and scipy are used, nothing else of `aimarket` is imported, and the model never imports this package: a test
that compares the two compares two pieces of work. Functions are pure; a problem that cannot be solved raises.

price_competition    Nash-Bertrand prices for logit demand: any qualities, tastes, costs, owners; linear or log price
best_reply           does any firm gain by leaving a candidate equilibrium?
logit_closed_forms   monopoly (Lambert W), symmetric markups and pass-through
mergers              calibration to observed margins, merger simulation
quantity_competition Cournot; capacity first, then price (Kreps and Scheinkman)
switching            loyalty and shares, costs growing with tenure, symmetric prices with switching costs
markov_perfect       infinite-horizon price competition with switching costs
diffusion            Bass
usage                spend after a fall in price, thinking tokens, task difficulty
learning             Wright
queueing             Erlang B and C, pools of servers, regions in different time zones
capital              GPU-hours, vintages, loans
entry                free entry, endogenous sunk costs
cost_accounting      Shapley attribution and LMDI
concentration        HHI, CR, Gibrat's null model
"""
