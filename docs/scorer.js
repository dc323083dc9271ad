// The site's search: functions' pages first, which have their names elsewhere. The numbers are Sphinx's own.
var Scorer = {
  score: ([page, , , , score]) => score + (page.startsWith("functions/") ? 20 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
