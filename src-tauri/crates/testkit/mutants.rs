/// Name, text of the source, and the mistake that takes its place.
type Mutant = (&'static str, &'static str, &'static str);

const RECONCILE: &[Mutant] = &[
    ("our_unknown_taken_for_a_state", "[(Side::Ours, o), (Side::Theirs, t)]", "[(Side::Theirs, t), (Side::Theirs, t)]"),
    ("unknown_below_equal_folders_skipped", "if ours != theirs || ours.has_unknown()", "if ours != theirs"),
    ("sides_confused", "if a == t {", "if a == o {"),
    ("conflict_decided_for_us", "if a == t {", "if a == t || a != o {"),
    ("agreement_not_recorded", "if a != o {", "if a != o && a.is_none() {"),
    ("old_record_not_noticed", "if a == o && o == t && !o", "if o == t && !o"),
    ("deletion_beats_edit", "_ if ancestor == entry => self.delete(side, path, entry)", "_ if ancestor == entry || !matches!(entry, Entry::Dir(_)) => self.delete(side, path, entry)"),
    ("edit_beats_nothing", "_ if ancestor == entry => self.delete(side, path, entry)", "_ if false => self.delete(side, path, entry)"),
    ("new_taken_for_deleted", "return self.create(side.other(), path, entry);\n        };", "return self.delete(side, path, entry);\n        };"),
    ("deleted_folder_takes_edits_along", "        if !survives(was, is) {\n", "        if true {\n"),
    ("additions_do_not_survive", "        _ => true,\n    })", "        (None, _) => false,\n        _ => true,\n    })"),
    ("survivors_not_given_back", "self.change(side.other(), path, None, Some(new));", "let _ = new;"),
    ("survivors_given_back_where_they_are", "self.change(side.other(), path, None, Some(new));", "self.change(side, path, None, Some(new));"),
    ("ignored_deletion_travels", "            if ancestor == entry {\n                return self.blocked", "            if ancestor == entry {\n                return self.delete(side, path, entry);\n                return self.blocked"),
    ("one_way_changes_its_source", "let target = source.other();", "let target = source;"),
    ("own_change_of_target_overwritten", "let untouched = a == d;", "let untouched = a == d || a.is_some();"),
    ("own_change_of_target_deleted", "let untouched = a == Some(entry);", "let untouched = a.is_some();"),
    ("folder_of_target_without_reason", "if !survives(was, is) => self.delete(target, path, entry)", "if false => { let _ = (was, is); }"),
    ("unknown_replaced", "first_unknown(old) {", "first_unknown(old).filter(|_| false) {"),
    ("unknown_created", "if let Some(known) = entry.without_unknown() {", "if let Some(known) = Some(entry.clone()) {"),
    ("comparison_without_reason", "Flow::None => self.blocked(path, Reason::CompareOnly),\n            },\n        }\n    }", "Flow::None => {}\n            },\n        }\n    }"),
    ("time_of_one_side_only", "o.mtime.max(t.mtime)", "o.mtime"),
    ("stricter_bits_of_one_side_only", "(o & !differ) | (!a & differ)", "(o & !differ) | (o & differ)"),
    ("names_met_out_of_order", ".map(|child| &child.name).min()?", ".map(|child| &child.name).max()?"),
];

const SETTLE: &[Mutant] = &[
    ("conflict_copy_on_one_side_only", "Side::Theirs => plan.copies_theirs.push(creation),", "Side::Theirs => {}"),
    ("winner_by_side", "if rank(ours) >= rank(theirs) { Side::Ours } else { Side::Theirs }", "Side::Ours"),
    ("loser_keeps_the_name", "Side::Ours => plan.theirs.push(change),", "Side::Ours => plan.ours.push(change),"),
    ("copy_of_the_winner", "let Some((_, lose)) = entries(conflict, winner)", "let Some((lose, _)) = entries(conflict, winner)"),
    ("folder_with_unknown_replaced", ".filter(|_| !lose.has_unknown())", ""),
    ("unknown_in_winner_without_reason", "plan.report_unknown(winner, &conflict.path, win);", ""),
    ("interrupted_copy_made_twice", "names.promote(plan);", "drop(names);"),
    ("unsettled_conflict_forgotten", "settled.push(conflict) } else { plan.conflicts.push(conflict) }", "settled.push(conflict) }"),
];
