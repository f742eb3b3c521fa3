// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Attributes that have a text form of their own were read from the dictionary too,
// and dropped in silence when their type was wrong.

// expected-error@+1 {{expects the normalizer in front of the attributes}}
attn.variant @v() attributes {normalizer = "sigmoid"} {
}
// -----
// expected-error@+1 {{expects the schedule in front of the attributes}}
attn.kernel @k(%x: f32) attributes {schedule = 5 : i32} {
  attn.return
}
// -----
// expected-error@+1 {{attribute 'sym_name' occurs more than once}}
attn.variant @v() attributes {sym_name = "x"} {
}
// -----
"attn.variant"() <{sym_name = "v"}> ({
  // expected-error@+1 {{requires attribute 'positions'}}
  "attn.mask"() ({
    %0 = arith.constant true
    "attn.yield"(%0) : (i1) -> ()
  }) : () -> ()
}) : () -> ()
// -----
"attn.variant"() <{sym_name = "v"}> ({
  // expected-error@+1 {{expects a non-empty block}}
  "attn.mask"() <{positions = []}> ({
  ^bb0:
  }) : () -> ()
}) : () -> ()
// -----
// expected-error@+1 {{expects its name to be an identifier of at most 256 letters, digits and _, but got ''}}
"attn.kernel"() <{sym_name = ""}> ({
  attn.return
}) : () -> ()
