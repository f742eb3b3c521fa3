// RUN: saccade-opt %s -split-input-file -verify-diagnostics

// Rule 1.
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects arguments to be layouts, LSEs, f32, i32 or tables, but #2 is 'f64'}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %x: f64) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects arguments to be layouts, LSEs, f32, i32 or tables, but #2 is '!attn.state<4x64>'}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %x: !attn.state<4x64>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 2.
attn.variant @v() {
}
attn.kernel @k() {
  // expected-error@+1 {{'vector.yield' op cannot end a kernel, expects attn.return}}
  vector.yield
}
// -----
// Rule 3.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %p: !attn.ragged<8x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.attend' op expects all queries of the kernel to be '!attn.ragged<4x64xf32>', but got '!attn.ragged<8x64xf32>'}}
  %t = attn.attend @v() %p, %kv : !attn.ragged<8x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<8x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  %r = attn.finish @v() %t : !attn.state<8x64> -> !attn.ragged<8x64xf32>
  attn.return %o, %r : !attn.ragged<4x64xf32>, !attn.ragged<8x64xf32>
}
// -----
// Rule 4.
// expected-error@+1 {{'attn.kernel' op expects to return something or to append}}
attn.kernel @k(%x: f32) {
  attn.return
}
// -----
// Rule 5.
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects its name to be an identifier of at most 256 letters, digits and _, but got 'two words'}}
attn.kernel @"two words"(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 6.
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects at most 32 arguments, but got 33}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %a0: i32, %a1: i32, %a2: i32, %a3: i32, %a4: i32, %a5: i32, %a6: i32, %a7: i32, %a8: i32, %a9: i32, %a10: i32, %a11: i32, %a12: i32, %a13: i32, %a14: i32, %a15: i32, %a16: i32, %a17: i32, %a18: i32, %a19: i32, %a20: i32, %a21: i32, %a22: i32, %a23: i32, %a24: i32, %a25: i32, %a26: i32, %a27: i32, %a28: i32, %a29: i32, %a30: i32) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 7.
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects argument #2 to be used as queries, a cache, new keys or values, an output that is resumed or its LSE, or mapped tokens}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %x: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects argument #0 to be either a cache or one tensor, but it is both}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %q : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 8.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %c: f32) {
  // expected-error@+1 {{expects only attn operations and constants of f32 or i32 in a kernel, but got arith.addf}}
  %d = arith.addf %c, %c : f32
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{expects only attn operations and constants of f32 or i32 in a kernel, but got arith.constant}}
  %d = arith.constant 1 : i64
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Symbols.
// expected-note@+1 {{see existing symbol definition here}}
attn.variant @v() {
}
// expected-error@+1 {{redefinition of symbol named 'v'}}
attn.kernel @v(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
module {
  func.func @f() {
    // expected-error@+1 {{'attn.kernel' op expects parent op 'builtin.module'}}
    attn.kernel @k(%x: f32) {
      attn.return
    }
    return
  }
}
// -----
// Rule 9.
attn.variant @v(%t: !attn.per_head<f32>) {
}
// expected-error@+1 {{'attn.kernel' op expects argument #2 to be a table over one number of heads, but it is over 4 and over 2}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<2x64xf8E4M3FN>, %t: !attn.per_head<f32>) {
  %s = attn.attend @v(%t : !attn.per_head<f32>) %q, %kv key_scale %t : !attn.per_head<f32> : !attn.ragged<4x64xf32>, !attn.ragged<2x64xf8E4M3FN> -> !attn.state<4x64>
  %o = attn.finish @v(%t : !attn.per_head<f32>) %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 7.
attn.variant @v() {
}
// expected-error@+1 {{'attn.kernel' op expects argument #2 to be used as queries, a cache, new keys or values, an output that is resumed or its LSE, or mapped tokens}}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %l: !attn.lse<4>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 10.
attn.variant @v() {
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>, %a: !attn.dense<4x64xf32>, %l: !attn.lse<4>) {
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  // expected-error@+1 {{'attn.resume' op expects 4 heads, ragged, as the kernel's rows before, but got '!attn.dense<4x64xf32>'}}
  %t = attn.resume %a, %l : !attn.dense<4x64xf32>, !attn.lse<4> -> !attn.state<4x64>
  %m = attn.merge %s, %t : !attn.state<4x64>
  %o = attn.finish @v() %m : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o : !attn.ragged<4x64xf32>
}
// -----
// Rule 10.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%x: !attn.ragged<4x64xf32>, %y: !attn.ragged<2x64xf32>) {
  %a = attn.map_rows @v() %x : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  // expected-error@+1 {{'attn.map_rows' op expects 4 heads, ragged, as the kernel's rows before, but got '!attn.ragged<2x64xf32>'}}
  %b = attn.map_rows @v() %y : !attn.ragged<2x64xf32> -> !attn.ragged<2x64xf32>
  attn.return %a, %b : !attn.ragged<4x64xf32>, !attn.ragged<2x64xf32>
}
// -----
// Rule 11.
attn.variant @v() {
  attn.query(%x: vector<64xf32>) {
    %y = arith.negf %x : vector<64xf32>
    attn.yield %y : vector<64xf32>
  }
}
attn.kernel @k(%q: !attn.ragged<4x64xf32>, %kv: !attn.ragged<4x64xf32>) {
  // expected-error@+1 {{'attn.map_rows' op expects a kernel that does not attend}}
  %a = attn.map_rows @v() %q : !attn.ragged<4x64xf32> -> !attn.ragged<4x64xf32>
  %s = attn.attend @v() %q, %kv : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32> -> !attn.state<4x64>
  %o = attn.finish @v() %s : !attn.state<4x64> -> !attn.ragged<4x64xf32>
  attn.return %o, %a : !attn.ragged<4x64xf32>, !attn.ragged<4x64xf32>
}
